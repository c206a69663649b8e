"""A scheduler for Ray Tune over several objectives."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from autopeft.loops.planning import SearchPlan
from autopeft.objectives import Objective
from autopeft.ray_tune.results import PROGRESS, early_losses, share_done
from autopeft.rungs.halving import Standing, SuccessiveHalving


class ParetoHalving(FIFOScheduler):  # type: ignore[misc]
    """Asynchronous successive halving by Pareto rank (MO-ASHA, Schmucker et al. 2021, arXiv 2106.12639), a `TuneConfig`'s scheduler.

    A trial that reaches a rung waits there, its state in a checkpoint, until it is among the best of all that were measured there. When no
    other trial is left to run, those that still wait are stopped; the best of them goes on instead if no trial has come to its end.

    Of a search that `Tuner.restore` goes on with, trials are known by what they reported last, and those that waited go on to their next
    rung.

    Args:
        objectives: What is traded off; trainables report them by name.
        rungs: Shares of a trial's budget at which it waits, rising. None: every trial is trained to its end.
        reduction: One trial in so many goes on from each rung.
        time_attr: What results call the amount that is done.
        max_t: That amount at a trial's end.

    Raises:
        InvalidInputError: Rungs are not rising shares below 1, or the reduction is not above 1.
    """

    def __init__(
        self,
        objectives: Sequence[Objective],
        rungs: Sequence[float],
        reduction: float = 3.0,
        *,
        time_attr: str = PROGRESS,
        max_t: float = 1.0,
    ) -> None:
        super().__init__()
        self._objectives, self._halving = tuple(objectives), SuccessiveHalving(tuple(rungs), reduction)
        self._time_attr, self._max_t = time_attr, max_t
        self._losses: dict[Trial, list[tuple[float, ...]]] = {}
        """Per trial, in the order in which they were added, the losses at each rung that it has reached."""

    @classmethod
    def of(cls, plan: SearchPlan) -> Self:
        """Return the scheduler of a plan, by its rungs and reduction."""
        return cls(plan.objectives, plan.request.rungs, plan.request.reduction)

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Take a trial on; one of an earlier session with what it reported last."""
        self._losses[trial] = []
        self._measure(trial, trial.last_result or {})

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: Mapping[str, Any]) -> str:
        """Have a trial wait that has reached a rung, unless it has earned to go on already."""
        if self._share(result) >= 1:
            return str(TrialScheduler.STOP)
        if not self._measure(trial, result) or self._promoted(waiting={trial}) is trial:
            return str(TrialScheduler.CONTINUE)
        _tell_searcher(tune_controller, "on_pause", trial)
        return str(TrialScheduler.PAUSE)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Count a trial that failed as one that has lost at the rung it was on its way to."""
        if len(self._losses[trial]) < len(self._halving.rungs):
            self._losses[trial].append((np.nan,) * len(self._objectives))

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Return a trial that has earned to go on, or else a new one."""
        trials = tune_controller.get_trials()
        waiting = {trial for trial in trials if trial.status == Trial.PAUSED}
        if (trial := self._promoted(waiting)) is None:
            trial = next((one for one in trials if one.status == Trial.PENDING), None)
        if trial is None and waiting and not any(one.status == Trial.RUNNING for one in trials):
            trial = self._last_resort(tune_controller, waiting)
        if trial in waiting:
            _tell_searcher(tune_controller, "on_unpause", trial)
        return trial

    def debug_string(self) -> str:
        """Say how many trials each rung has measured."""
        counts = [sum(len(losses) > rung for losses in self._losses.values()) for rung in range(len(self._halving.rungs))]
        measured = ", ".join(f"{count} at {rung:g}" for count, rung in zip(counts, self._halving.rungs, strict=True))
        return f"Using ParetoHalving: trials measured {measured}"

    def _last_resort(self, tune_controller: Any, waiting: set[Trial]) -> Trial | None:
        """Stop what waits if the search is over with at least one trial at its end; else return the best of it.

        A searcher that isn't done and proposes nothing waits for a result.
        """
        has_whole = any(trial.status == Trial.TERMINATED and self._share(trial.last_result or {}) >= 1 for trial in self._losses)
        if not has_whole or not tune_controller.search_alg.is_finished():
            best = self._halving.best_waiting(self._standings(waiting))
            return None if best is None else list(self._losses)[best]
        for trial in waiting:
            tune_controller.stop_trial(trial)
        return None

    def _measure(self, trial: Trial, result: Mapping[str, Any]) -> bool:
        """Note a trial's losses at the rungs that it has reached; return whether there is a new one."""
        share = self._share(result)
        n_new = sum(share >= rung * (1 - 1e-9) for rung in self._halving.rungs) - len(self._losses[trial])
        if n_new > 0:
            self._losses[trial] += [early_losses(result, self._objectives, share)] * n_new
        return n_new > 0

    def _promoted(self, waiting: set[Trial]) -> Trial | None:
        best = self._halving.promotion(self._standings(waiting))
        return None if best is None else list(self._losses)[best]

    def _standings(self, waiting: set[Trial]) -> list[Standing]:
        return [Standing(place, tuple(losses), trial in waiting) for place, (trial, losses) in enumerate(self._losses.items())]

    def _share(self, result: Mapping[str, Any]) -> float:
        return share_done(result, self._time_attr, self._max_t) if self._time_attr in result else 0.0


def _tell_searcher(tune_controller: Any, event: str, trial: Trial) -> None:
    """Tell a searcher of ours, which would count a trial that waits among those that run."""
    searcher = tune_controller.search_alg
    while hasattr(searcher, "searcher"):
        searcher = searcher.searcher
    if hasattr(searcher, event):
        getattr(searcher, event)(trial.trial_id)
