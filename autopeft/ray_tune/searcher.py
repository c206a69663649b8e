"""A searcher for Ray Tune over several objectives."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial
from ray.tune.search import Searcher

from autopeft.errors import InvalidInputError
from autopeft.loops.planning import SearchPlan
from autopeft.objectives import Objective
from autopeft.ray_tune.results import early_losses, share_done, values_of
from autopeft.samplers.distinct import DistinctSampler, trial_seed
from autopeft.samplers.partial import Early
from autopeft.samplers.problem import Parameters, SearchProblem
from autopeft.samplers.registry import make_sampler
from autopeft.study.problem import SpaceProblem

EARLY = "early"
"""The attribute of a trial that holds what it had come to before its end: pairs of a share of its budget and its losses there."""
SEED = "seed"
"""What a trial's configuration calls its seed, where the problem is a search space on a backbone."""


class AutopeftSearch(Searcher):  # type: ignore[misc]
    """Proposes points for several objectives by one of our samplers; for `tune.TuneConfig(search_alg=...)`.

    Objectives that follow from a point are exact before it is tried, and nothing is proposed twice; once all has been tried, the search is
    over. A trial that failed teaches where trials fail. One that a scheduler stopped, which its `progress` below 1 shows, teaches by what
    it had reported until then, which never passes for a final value. Trials that run are taken to end as expected.

    Its state is the record of trials, as JSON: `Tuner.restore` goes on where a search stopped, and proposes what it would have proposed.

    Args:
        problem: What there is to choose from and what is known of it without trying; or a space alone, as Optuna's distributions by name.
        objectives: What is traded off; trainables report them by name.
        exact_costs: By objective, the function from a point to its value, if a space alone is given.
        sampler: What proposes; see `autopeft list samplers`.
        seed: Seeds proposals, and the trials of a search space on a backbone.
        start: Points to try first, as a trial's parameters.
        max_concurrent: Trials that run at once; those that a scheduler has paused don't count. None: as many as there is room for.

    Raises:
        InvalidInputError: Exact costs are given for no objective, or beside a problem.
        UnknownNameError: There is no such sampler.
    """

    def __init__(
        self,
        problem: SearchProblem | Mapping[str, BaseDistribution],
        objectives: Sequence[Objective],
        *,
        exact_costs: Mapping[str, Callable[[Parameters], float]] | None = None,
        sampler: str = "autopeft",
        seed: int = 0,
        start: Sequence[Parameters] = (),
        max_concurrent: int | None = None,
    ) -> None:
        names = [objective.name for objective in objectives]
        super().__init__(metric=names, mode=["min" if objective.direction == "minimize" else "max" for objective in objectives])
        if not isinstance(problem, SearchProblem):
            if unknown := sorted((exact_costs or {}).keys() - set(names)):
                raise InvalidInputError(f"exact costs belong to objectives, which are {', '.join(names)}", value=unknown[0])
            problem = SearchProblem(problem, {names.index(name): function for name, function in (exact_costs or {}).items()})
        elif exact_costs:
            raise InvalidInputError("exact costs belong to the problem, if there is one", value=sorted(exact_costs))
        self._problem, self._objectives, self._sampler, self._seed = problem, tuple(objectives), sampler, seed
        self._start = list(start)
        self._max_concurrent = max_concurrent
        self._live: dict[str, int] = {}
        """Numbers of the trials that have begun and not ended, by Tune's names for them."""
        self._paused: set[str] = set()
        """Which of these wait."""
        self._study = self._new_study()

    @classmethod
    def of(cls, plan: SearchPlan, *, max_concurrent: int | None = None) -> Self:
        """Return what proposes the trials of a plan, its presets, warm start and portfolio first."""
        start = [plan.problem.to_params(point) for point in plan.start.values()]
        request = plan.request
        return cls(
            plan.problem, plan.objectives, sampler=request.sampler, seed=request.seed, start=start, max_concurrent=max_concurrent
        )  # fmt: skip

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Return a point to try; None while enough trials run, `FINISHED` once there is nothing new."""
        if self._max_concurrent is not None and len(self._live.keys() - self._paused) >= self._max_concurrent:
            return None
        if self._start:
            self._study.enqueue_trial(self._start.pop(0))
        tried = {self._problem.key(trial.params) for trial in self._study.get_trials(deepcopy=False) if trial.state != TrialState.WAITING}
        trial = self._study.ask(self._problem.distributions)
        if self._problem.key(trial.params) in tried:
            self._study.tell(trial, state=TrialState.FAIL)
            return str(self.FINISHED)
        self._live[trial_id] = trial.number
        if isinstance(self._problem, SpaceProblem):
            return {**self._problem.to_point(trial.params), SEED: trial_seed(self._seed, trial.number)}
        return dict(trial.params)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Keep what a trial reports before its end."""
        share = share_done(result)
        if trial_id in self._live and share < 1:
            trial = self._trial(self._live[trial_id])
            early = [share, list(early_losses(result, self._objectives, share))]
            trial.set_user_attr(EARLY, [*trial.user_attrs.get(EARLY, ()), early])

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Record how a trial ended: whole, stopped before its end, or failed."""
        self._paused.discard(trial_id)
        if (number := self._live.get(trial_id)) is None:
            return
        trial = self._trial(number)
        whole = result is not None and share_done(result) >= 1
        if result is not None and not whole and not error:
            self.on_trial_result(trial_id, result)  # Tune doesn't report the result at which a scheduler stops a trial
        del self._live[trial_id]
        values = values_of(result, self._objectives) if result is not None and whole and not error else None
        if values is not None:
            for constraint in self._problem.constraints if isinstance(self._problem, SpaceProblem) else ():
                if not constraint.objective.known:
                    trial.set_constraint(constraint.objective.name, constraint.excess(float((result or {})[constraint.objective.name])))
            self._study.tell(trial, values)
        elif error or whole:
            self._study.tell(trial, state=TrialState.FAIL)
        else:
            self._study.tell(trial, state=TrialState.PRUNED)

    def on_pause(self, trial_id: str) -> None:
        """Hear of a scheduler that a trial waits: another may run."""
        self._paused.add(trial_id)

    def on_unpause(self, trial_id: str) -> None:
        """Hear of a scheduler that a trial goes on."""
        self._paused.discard(trial_id)

    def set_max_concurrency(self, max_concurrent: int) -> bool:
        """Take over a `ConcurrencyLimiter`'s limit, since it would count trials that wait and never start another."""
        self._max_concurrent = max_concurrent
        return True

    def save(self, checkpoint_path: str) -> None:
        """Write the record of trials."""
        trials = [
            {
                "state": trial.state.name,
                "values": trial.values,
                "params": trial.params,
                "attributes": trial.user_attrs,
                "constraints": trial.constraints,
            }
            for trial in self._study.get_trials(deepcopy=False)
        ]
        state = {"trials": trials, "live": self._live, "start": self._start}
        Path(checkpoint_path).write_text(json.dumps(state), encoding="utf-8")

    def restore(self, checkpoint_path: str) -> None:
        """Go on with a record of trials; those that ran then are taken to run again, by the same names.

        Raises:
            InvalidInputError: The file holds none, or one of another search space.
        """
        try:
            state = json.loads(Path(checkpoint_path).read_text(encoding="utf-8"))
            trials = [self._read(row) for row in state["trials"]]
            self._live, self._start, self._paused = state["live"], state["start"], set()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InvalidInputError(f"the searcher's state can't be read: {error}", value=checkpoint_path) from None
        self._study = self._new_study()
        self._study.add_trials(trials)

    def _new_study(self) -> optuna.Study:
        fallback = self._problem.smallest if isinstance(self._problem, SpaceProblem) else None
        return optuna.create_study(
            sampler=DistinctSampler(
                lambda seed: make_sampler(self._sampler, seed, self._problem, _read_early), self._seed, self._problem, fallback
            ),
            directions=[objective.direction for objective in self._objectives],
        )

    def _read(self, row: Mapping[str, Any]) -> FrozenTrial:
        return create_trial(
            state=TrialState[row["state"]],
            values=row["values"],
            params=row["params"],
            distributions=self._problem.distributions,
            user_attrs=row["attributes"],
            constraints=row["constraints"],
        )

    def _trial(self, number: int) -> optuna.Trial:
        return optuna.Trial(self._study, self._study.get_trials(deepcopy=False)[number]._trial_id)


def _read_early(trial: FrozenTrial) -> list[Early]:
    return [Early((share,), tuple(losses)) for share, losses in trial.user_attrs.get(EARLY, ())]
