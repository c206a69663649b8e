"""Baselines under the same roof: single methods in every layer, tuned at the cost of the search that they are compared with.

Cost is counted in training examples, which no other work on the machine changes: all baselines together get as many low-cost trials and as
many confirmations as the search had, with its sampler, data and budgets, but none of its bounds, and no rungs: every trial gets its whole
budget. The best of each is then retrained like any other configuration.
"""

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from autopeft.budget import Budget
from autopeft.costs import Costs, total
from autopeft.errors import AutopeftError, InvalidInputError, UnknownNameError, UnsupportedError
from autopeft.loops import search as engine
from autopeft.loops.planning import SearchPlan
from autopeft.loops.retrain import Progress, RetrainRequest, retrain
from autopeft.objectives import losses
from autopeft.request import SearchRequest, as_loaded
from autopeft.study.directory import RunDirectory
from autopeft.study.reader import StudyReader
from autopeft.study.record import TrialRecord, best, front, low_cost_front, spent
from autopeft.study.retrained import BASELINES, Candidate, RetrainedFolder


@dataclass(frozen=True)
class Tuned:
    """What tuning the baselines gave."""

    candidates: tuple[Candidate, ...]
    left_out: tuple[str, ...]
    """Why a baseline has no candidate, one sentence each."""
    search: Costs
    """What the search cost, its confirmations counted."""
    costs: Costs
    """What tuning all baselines cost that were tuned so far."""

    @property
    def by_what(self) -> dict[str, Costs]:
        """Both costs as tables name them."""
        return {"search": self.search, "baselines": self.costs}


def tune(
    run: RunDirectory,
    progress: Callable[[str], engine.Progress],
    *,
    methods: Sequence[str] | None = None,
    trials: int | None = None,
    workers: int | None = None,
) -> Tuned:
    """Tune baselines, going on where an earlier call stopped.

    First all are tuned at low cost. Then as many trials as the search confirmed are trained at the full budget: one of each baseline in
    turn, the best at low cost first.

    Args:
        run: The search to compare with.
        progress: Makes what hears of a baseline's trials, from its name in tables.
        methods: Which of `BASELINES`; None for all.
        trials: Trials per baseline at low cost; None for an equal part of the search's, as if all were tuned.
        workers: Worker processes; None: as in the search.

    Raises:
        UnknownNameError: A method is not one of `BASELINES`.
        InvalidInputError: No method is named, the number of trials is not 1 or more, or an earlier call tuned with more.
        UnavailableError: Data or backbone are not there any more.
        UnsupportedError: The backbone takes none of the methods.
        AutopeftError: Every trial of a baseline failed.
        KeyboardInterrupt: The user stopped it; the same call goes on.
    """
    records = StudyReader.open(run).records()
    asked = as_loaded(SearchRequest.from_settings(run.asked()), run.settings())
    n_trials = trials if trials is not None else max(1, _n_low_cost(run, records) // len(BASELINES))
    if n_trials < 1:
        raise InvalidInputError("--trials-per-method must be a whole number of 1 or more", value=trials)
    tuned, left_out = {}, []
    for name, title in _chosen(methods).items():
        try:
            tuned[name] = _tuned(_request(asked, name, n_trials, 0, run.baselines_path / name, workers), progress(title))
        except UnsupportedError as error:
            left_out.append(f"{title} is left out: {error}")
    if not tuned:
        raise UnsupportedError(f"no baseline fits this backbone: {' '.join(left_out)}", remedy="Name others with --methods.")
    n_confirmed = sum(one.confirmed for one in records)
    for name, n in _shares(n_confirmed, tuned).items():
        tuned[name] = _tuned(_request(asked, name, n_trials, n, run.baselines_path / name, workers), progress(BASELINES[name]))
    candidates = [_candidate(name, study) for name, study in tuned.items()]
    costs = (spent(StudyReader.open(RunDirectory.open(path.parent)).records()) for path in run.baselines_path.glob("*/study.db"))
    return Tuned(tuple(candidates), tuple(left_out), spent(records), total(costs))


def tune_and_retrain(
    run: RunDirectory,
    request: RetrainRequest,
    tuning: Callable[[str], engine.Progress],
    progress: Progress,
    say: Callable[[str], None],
    *,
    methods: Sequence[str] | None = None,
    trials: int | None = None,
) -> RetrainedFolder:
    """Tune baselines, train the best of each at the full budget, and keep what the search and they cost beside it.

    Args:
        run: The search to compare with; errors are those of `tune` and `retrain`.
        request: How the best are trained.
        tuning: Makes what hears of a baseline's trials, from its name in tables.
        progress: Hears of every training at the full budget.
        say: Gets why a baseline is left out, one sentence each.
        methods: As in `tune`.
        trials: As in `tune`.
    """
    tuned = tune(run, tuning, methods=methods, trials=trials, workers=request.workers)
    for reason in tuned.left_out:
        say(reason)
    folder = retrain(run, tuned.candidates, request, progress)
    folder.write_costs(tuned.by_what)
    return folder


def _n_low_cost(run: RunDirectory, records: Sequence[TrialRecord]) -> int:
    """Return how many whole low-cost trials the search's cost: one that was stopped at a rung counts as the part that was trained."""
    budget = Budget.from_dict(run.settings("budget")["budget"])
    n_train: int = run.settings("examples")["examples"]["train"]
    examples = budget.epochs * min(budget.train_examples or n_train, n_train)
    return math.floor((total(records).examples_seen or 0) / examples + 0.001)


def _shares(n_confirmed: int, tuned: Mapping[str, StudyReader]) -> dict[str, int]:
    """Return how many of a baseline's trials are confirmed, by its name: none that gets none.

    Each round gives one to every baseline, and those that did best at low cost come first. If not all are tuned, none gets more than it
    could if all were.
    """
    n_most = math.ceil(n_confirmed / len(BASELINES))
    turns = sorted(tuned, key=lambda name: _least_loss(tuned[name])) * n_most
    return {name: turns[:n_confirmed].count(name) for name in dict.fromkeys(turns[:n_confirmed])}


def _least_loss(study: StudyReader) -> float:
    """Return the least loss in the first objective that the trials reached which were asked for: what is tried later changes no turn."""
    tried = [one for one in study.records() if not one.is_extra]
    return float(losses(study.objectives[:1], [one.values for one in low_cost_front(tried, study.objectives)]).min())


def _chosen(methods: Sequence[str] | None) -> Mapping[str, str]:
    if methods is None:
        return BASELINES
    for name in methods:
        if name not in BASELINES:
            raise UnknownNameError("baseline", name, BASELINES)
    if not methods:
        raise InvalidInputError("--methods must name at least one baseline", value="", remedy=f"Known: {', '.join(BASELINES)}.")
    return {name: title for name, title in BASELINES.items() if name in methods}


def _request(asked: SearchRequest, name: str, trials: int, confirm: int, out: Path, workers: int | None) -> SearchRequest:
    return replace(
        asked,
        space=f"baselines/{name}",
        trials=trials,
        workers=asked.workers if workers is None else workers,
        out=str(out),
        start=(),
        warm_start=(),
        track=(),
        time_limit=None,
        rungs=(),
        confirm=confirm,
        max_params=None,
        max_adapter_bytes=None,
        max_train_seconds=None,
        max_memory=None,
    )


def _tuned(request: SearchRequest, progress: engine.Progress) -> StudyReader:
    """Return a baseline's tuning, done or gone on with as far as it must be; it has a trial that did not fail."""
    out = Path(str(request.out))
    watched = _WithoutAdapters(progress)
    if not (out / "run.json").is_file():
        shutil.rmtree(out, ignore_errors=True)  # what a run leaves that was stopped before it began
        run = engine.search(request, watched)
    else:
        run = RunDirectory.open(out)
        if not _is_done(run, request):
            run = engine.resume(out, watched, {"trials": request.trials, "workers": request.workers, "confirm": request.confirm})
    study = StudyReader.open(run)
    records = study.records()
    if (n_tried := sum(not one.is_extra for one in records)) > request.trials:
        raise InvalidInputError(
            f"all baselines must be tuned with as many trials: {out.name} has {n_tried}",
            value=request.trials,
            remedy=f"Ask for --trials-per-method {n_tried}, or remove {out.parent}.",
        )
    if not low_cost_front(records, study.objectives):
        reason = next((record.error for record in records if record.error), "no trial was run")
        raise AutopeftError(
            f"every trial of the baseline {BASELINES[out.name]} failed: {reason}", remedy=f"See {out}/trials; --methods can leave it out."
        )
    return study


def _candidate(name: str, study: StudyReader) -> Candidate:
    found = best(front(study.records(), study.objectives), study.objectives)
    return Candidate(found.configuration, BASELINES[name], "baseline", found.number)


def _is_done(run: RunDirectory, request: SearchRequest) -> bool:
    if not run.storage_path.is_file():
        return False
    records = StudyReader.open(run).records()
    n_tried = sum(record.state != "running" and not record.is_extra for record in records)
    n_confirmed = sum(record.confirmation is not None and record.confirmation.state != "running" for record in records)
    return n_tried >= request.trials and n_confirmed >= (request.confirm or 0)


class _WithoutAdapters:
    """Drops the adapter of every low-cost trial: nobody exports them, and those of full fine-tuning are as large as the backbone."""

    def __init__(self, inner: engine.Progress) -> None:
        self._inner = inner
        self._run: RunDirectory | None = None

    def started(self, plan: SearchPlan, run: RunDirectory, n_done: int) -> None:
        self._run = run
        self._inner.started(plan, run, n_done)

    def trial_finished(self, record: TrialRecord, on_front: bool, n_done: int, n_trials: int) -> None:
        assert self._run is not None, "a search starts before a trial of it ends"
        shutil.rmtree(self._run.adapter_path(record.number), ignore_errors=True)
        self._inner.trial_finished(record, on_front, n_done, n_trials)

    def trial_confirmed(self, record: TrialRecord, on_front: bool, n_done: int, n_total: int) -> None:
        self._inner.trial_confirmed(record, on_front, n_done, n_total)
