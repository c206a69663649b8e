"""Baselines under the same roof: single methods in every layer, tuned with the budget of the search they are compared with.

All baselines together get as many trials as the search asked for, in equal parts, with its sampler, data and low-cost budget, but none of
its bounds, and no rungs: every trial gets its whole budget. The best of each is then retrained like any other configuration.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from autopeft.errors import AutopeftError, InvalidInputError, UnknownNameError, UnsupportedError
from autopeft.loops import search as engine
from autopeft.loops.planning import SearchPlan
from autopeft.request import SearchRequest, as_loaded
from autopeft.study.directory import RunDirectory
from autopeft.study.record import TrialRecord, best, front
from autopeft.study.retrained import BASELINES, Candidate
from autopeft.study.study import Study


@dataclass(frozen=True)
class Tuned:
    """What tuning the baselines gave."""

    candidates: tuple[Candidate, ...]
    left_out: tuple[str, ...]
    """Why a baseline has no candidate, one sentence each."""


def tune(
    run: RunDirectory,
    progress: Callable[[str], engine.Progress],
    *,
    methods: Sequence[str] | None = None,
    trials: int | None = None,
    workers: int | None = None,
) -> Tuned:
    """Tune baselines, going on where an earlier call stopped.

    Args:
        run: The search to compare with.
        progress: Makes what hears of a baseline's trials, from its name in tables.
        methods: Which of `BASELINES`; None for all.
        trials: Trials per baseline; None for an equal part of the search's, as if all were tuned.
        workers: Worker processes; None: as in the search.

    Raises:
        UnknownNameError: A method is not one of `BASELINES`.
        InvalidInputError: No method is named, the number of trials is not 1 or more, or an earlier call tuned with more.
        UnavailableError: Data or backbone are not there any more.
        AutopeftError: Every trial of a baseline failed.
        KeyboardInterrupt: The user stopped it; the same call goes on.
    """
    asked = as_loaded(SearchRequest.from_settings(run.asked()), run.settings())
    n_trials = trials if trials is not None else max(1, asked.trials // len(BASELINES))
    if n_trials < 1:
        raise InvalidInputError("--trials-per-method must be a whole number of 1 or more", value=trials)
    candidates, left_out = [], []
    for name, title in _chosen(methods).items():
        try:
            found = _tune(_request(asked, name, n_trials, run.baselines_path / name, workers), progress(title))
        except UnsupportedError as error:
            left_out.append(f"{title} is left out: {error}")
            continue
        candidates.append(Candidate(found.configuration, title, "baseline", found.number))
    return Tuned(tuple(candidates), tuple(left_out))


def _chosen(methods: Sequence[str] | None) -> Mapping[str, str]:
    if methods is None:
        return BASELINES
    for name in methods:
        if name not in BASELINES:
            raise UnknownNameError("baseline", name, BASELINES)
    if not methods:
        raise InvalidInputError("--methods must name at least one baseline", value="", remedy=f"Known: {', '.join(BASELINES)}.")
    return {name: title for name, title in BASELINES.items() if name in methods}


def _request(asked: SearchRequest, name: str, trials: int, out: Path, workers: int | None) -> SearchRequest:
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
        confirm=0,
        max_params=None,
        max_adapter_bytes=None,
        max_train_seconds=None,
        max_memory=None,
    )


def _tune(request: SearchRequest, progress: engine.Progress) -> TrialRecord:
    """Return the best trial of a baseline's tuning, done or gone on with as far as it must be."""
    out = Path(str(request.out))
    watched = _WithoutAdapters(progress)
    if not (out / "run.json").is_file():
        shutil.rmtree(out, ignore_errors=True)  # what a run leaves that was stopped before it began
        run = engine.search(request, watched)
    else:
        run = RunDirectory.open(out)
        if not _is_done(run, request.trials):
            run = engine.resume(out, watched, {"trials": request.trials, "workers": request.workers})
    study = Study.open(run)
    records = study.records()
    if len(records) > request.trials:
        raise InvalidInputError(
            f"all baselines must be tuned with as many trials: {out.name} has {len(records)}",
            value=request.trials,
            remedy=f"Ask for --trials-per-method {len(records)}, or remove {out.parent}.",
        )
    good = front(records, study.objectives)
    if not good:
        reason = next((record.error for record in records if record.error), "no trial was run")
        raise AutopeftError(
            f"every trial of the baseline {BASELINES[out.name]} failed: {reason}", remedy=f"See {out}/trials; --methods can leave it out."
        )
    return best(good, study.objectives)


def _is_done(run: RunDirectory, trials: int) -> bool:
    if not run.storage_path.is_file():
        return False
    return sum(record.state != "running" for record in Study.open(run).records()) >= trials


class _WithoutAdapters:
    """Drops the adapter of every trial: nobody exports them, and those of full fine-tuning are as large as the backbone."""

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
