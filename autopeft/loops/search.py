"""The search: asks the study for configurations, has an executor train them, tells the study what came of it."""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, replace
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from autopeft.errors import AutopeftError, InvalidInputError
from autopeft.executors.base import Executor
from autopeft.loops.confirm import SHARE, Confirmations
from autopeft.loops.in_memory import InMemory, written
from autopeft.loops.planning import SearchPlan, prepared, write_settings
from autopeft.loops.pool import Pool
from autopeft.loops.schedule import Schedule
from autopeft.loops.tracking import Tracking
from autopeft.request import SearchRequest, as_loaded
from autopeft.rungs.halving import SuccessiveHalving
from autopeft.study import confirmed, pauses
from autopeft.study.details import details_file
from autopeft.study.directory import RunDirectory
from autopeft.study.disk import writing
from autopeft.study.lock import driving
from autopeft.study.reader import StudyReader
from autopeft.study.record import TrialRecord, front, is_on_front
from autopeft.study.rows import json_lines
from autopeft.study.study import Study
from autopeft.tasks.dataset import task_name
from autopeft.trackers.callback import Callback
from autopeft.trackers.registry import make_trackers
from autopeft.training.backbone import require_weights
from autopeft.training.live import NAME as LIVE_CURVE
from autopeft.training.measurement import Outcome
from autopeft.words import plural


class Progress(Protocol):
    """Hears how a search goes on."""

    def started(self, plan: SearchPlan, run: RunDirectory, n_done: int) -> None:
        """The first trial is about to start; so many are done already."""

    def trial_finished(self, record: TrialRecord, on_front: bool, n_done: int, n_trials: int) -> None:
        """A trial ended, well or not, or has paused at a rung; so many of so many have been trained at all."""

    def trial_confirmed(self, record: TrialRecord, on_front: bool, n_done: int, n_total: int) -> None:
        """A trial's training at the full budget ended, well or not; so many of so many have."""


def search(
    request: SearchRequest,
    progress: Progress,
    sources: Mapping[str, str] | None = None,
    command: str = "",
    callbacks: Sequence[Callback] = (),
    given: Mapping[str, InMemory] | None = None,
) -> RunDirectory:
    """Run a new search to its end.

    Args:
        request: What to search.
        progress: Hears of every trial.
        sources: Where each setting came from, for run.json.
        command: The command line that started the search, for run.json.
        callbacks: Hear of every trial that ends, and can't end the search.
        given: By setting, what Python code handed over in memory; the request has a name in its place.

    Returns:
        The run's directory, with at least one complete trial.

    Raises:
        AutopeftError: The input is wrong, something it names is unavailable, or every trial failed.
        KeyboardInterrupt: The user stopped it; the run can be resumed.
    """
    out = Path(request.out) if request.out else _free_folder(request)
    for path in request.warm_start:
        RunDirectory.open(Path(path))
    RunDirectory.require_free(out)  # at once; the folder is made when all that the request names was found and loads

    @contextmanager
    def created() -> Iterator[RunDirectory]:
        run = RunDirectory.create(out)
        with driving(run):
            run.clear()
            yield run

    request, sources = replace(request, out=str(out)), sources or {}
    if not given:
        return _search(request, progress, created, sources, command, callbacks)
    with created() as run, written(run, given) as paths:
        return _search(replace(request, **paths), progress, lambda: nullcontext(run), sources, command, callbacks)


def resume(
    path: Path,
    progress: Progress,
    changes: Mapping[str, Any] | None = None,
    command: str = "",
    source: str = "flag",
    callbacks: Sequence[Callback] = (),
) -> RunDirectory:
    """Go on with a run that was stopped; arguments and errors as in `search`.

    A run whose record is gone or damaged isn't gone on with: its trials would be trained again, over what there is of them.

    Args:
        path: Its folder, wherever that is now.
        progress: Hears of every trial.
        changes: Settings that are asked anew, of those in `request.CHANGEABLE`: `trials` is a new total.
        command: As in `search`.
        source: Where the changes came from, for run.json.
        callbacks: As in `search`.
    """
    run, changes = RunDirectory.open(path), changes or {}
    settings = run.asked()
    sources = {name: entry["source"] for name, entry in settings.items()} | dict.fromkeys(changes, source)
    asked = as_loaded(SearchRequest.from_settings(settings), run.settings())
    request = replace(asked.changed(changes), out=str(path))  # it may have been moved
    with driving(run):
        if not run.storage_path.is_file():
            remedy = "Put the file back, or begin a new run with another --out."
            raise InvalidInputError("a run without its study.db can't be gone on with", value=str(run.path), remedy=remedy)
        StudyReader.open(run)
        return _search(request, progress, lambda: nullcontext(run), sources, command, callbacks, run.settings("model", "task"))


def _search(
    request: SearchRequest,
    progress: Progress,
    open_run: Callable[[], AbstractContextManager[RunDirectory]],
    sources: Mapping[str, str],
    command: str,
    callbacks: Sequence[Callback],
    stored: Mapping[str, Any] | None = None,
) -> RunDirectory:
    """Search; `stored` is the content of run.json where the run is there already."""
    tracking = Tracking(progress, make_trackers(request.track), callbacks)  # first: what is missing must show before anything is loaded
    with prepared(request, stored) as (plan, executor), open_run() as run, writing(run):
        if stored is not None:
            require_weights(plan.backbone, stored["model"])
        study = Study.create(run, plan.problem, request.sampler, request.seed)
        study.start_with(plan.start)
        write_settings(run, plan, sources, command)  # last, for it makes the folder a run: one without its queue would be another run
        study.take_over()
        run.write_trial_lines(record.to_row() for record in study.records() if record.is_over)  # a crash may have torn the last
        tracking.started(plan, run, len(study.records()) - study.n_begun)
        tracking.catch_up(study.records())
        began, limit = time.monotonic(), 60 * plan.request.time_limit if plan.request.time_limit else math.inf
        try:
            run_trials(plan, run, study, executor, tracking, began + limit * (1 - SHARE if plan.n_confirmations else 1))
            if plan.n_confirmations:
                confirm_trials(plan, run, study, executor, tracking, began + limit)
        finally:
            tracking.ended(study.records())
        study.expect()
    _require_enough(run, study.records(), request.max_failed)
    return run


def _require_enough(run: RunDirectory, records: Sequence[TrialRecord], max_failed: float) -> None:
    """Check that no more than a share of the trials failed.

    Raises:
        AutopeftError: More did; it says how many, and of what.
    """
    reasons = Counter(record.error for record in records if record.state == "failed")
    if reasons and reasons.total() > max_failed * len(records):
        listed = "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common(3)) + ("; ..." if len(reasons) > 3 else "")
        raise AutopeftError(
            f"{reasons.total()} of {plural(len(records), 'trial')} failed: {listed}",
            remedy=f"See {run.path}/trials; --max-failed sets how many may.",
        )


def run_trials(
    plan: SearchPlan, run: RunDirectory, study: Study, executor: Executor, progress: Progress, deadline: float = math.inf
) -> None:
    """Keep every worker busy until the number of trials is reached and none has earned to go on, or the time is up."""
    halving = SuccessiveHalving(plan.request.rungs, plan.request.reduction)
    pool = Pool(executor, Schedule(run, study, plan.budget, halving, plan.request.trials), deadline)
    for outcome in pool.outcomes():
        record = _record(run, study, outcome)
        records = study.records()
        n_done = len(records) - pool.n_handed_out - study.n_begun
        progress.trial_finished(record, is_on_front(record, records, study.objectives), n_done, plan.request.trials)
    study.put_back_begun()
    if pool.has_time:  # else a resumed run may go on with them
        _stop_paused(run, study)


def confirm_trials(
    plan: SearchPlan, run: RunDirectory, study: Study, executor: Executor, progress: Progress, deadline: float = math.inf
) -> None:
    """Train chosen trials at the full budget, and new points before them at low cost, until as many as planned have begun or time is up."""
    source = Confirmations(study, plan.budget, len(plan.data.train), plan.n_confirmations)
    for outcome in Pool(executor, source, deadline).outcomes():
        if not outcome.assignment.keeps_best:
            record = _record(run, study, outcome)
            records = study.records()
            n_over = sum(one.is_over for one in records)
            progress.trial_finished(record, is_on_front(record, records, study.objectives), n_over, max(n_over, plan.request.trials))
            continue
        confirmed.keep(run, outcome)
        _drop_live_curve(run, outcome.assignment.trial)
        number, measurement = outcome.assignment.trial, outcome.measurement
        record = study.fail_confirmation(number, outcome.error) if measurement is None else study.confirm(number, measurement)
        records = study.records()
        run.write_trial_lines(one.to_row() for one in records if one.is_over)
        on_front = any(one.number == number and one.low_cost is not None for one in front(records, study.objectives))
        n_done = sum(one.confirmation is not None and one.confirmation.state != "running" for one in records)
        progress.trial_confirmed(record, on_front, n_done, plan.n_confirmations)


def _record(run: RunDirectory, study: Study, outcome: Outcome) -> TrialRecord:
    """Write a trial's files, then its record: what the study knows of is on disk."""
    assignment, measurement = outcome.assignment, outcome.measurement
    files = {"configuration.json": assignment.configuration.to_json().encode()}
    _drop_live_curve(run, assignment.trial)
    study.locate(assignment.trial, outcome.environment)
    if measurement is None:
        run.write_trial(assignment.trial, files | {"error.txt": (outcome.traceback or outcome.error).encode()})
        record = study.fail(assignment, outcome.error)
    else:
        files |= {"curve.jsonl": json_lines(asdict(point) for point in measurement.curve)}
        files |= {f"adapter/{name}": content for name, content in outcome.adapter.items()}
        files |= details_file(outcome.details)
        run.write_trial(assignment.trial, files)
        if measurement.progress < 1:
            pauses.keep(run, outcome)
            return study.pause(assignment, measurement)
        record = study.tell(assignment, measurement)
    _close(run, record)
    return record


def _drop_live_curve(run: RunDirectory, number: int) -> None:
    """Remove what a worker wrote while it trained: its outcome says that better."""
    (run.trial_path(number) / LIVE_CURVE).unlink(missing_ok=True)


def _stop_paused(run: RunDirectory, study: Study) -> None:
    for record in study.records():
        if record.state == "paused":
            _close(run, study.stop(record.number))


def _close(run: RunDirectory, record: TrialRecord) -> None:
    """Write a trial's line, and drop what it would have needed to go on."""
    run.append_trial_line(record.to_row())
    pauses.drop(run, record.number)


def _free_folder(request: SearchRequest) -> Path:
    """Return runs/<task>, or the first of runs/<task>-2, -3, ... that is not there yet."""
    name = request.task or (task_name(request.dataset) if request.dataset else Path(str(request.train)).stem)
    candidates = (Path("runs") / (name if number == 1 else f"{name}-{number}") for number in count(1))
    return next(path for path in candidates if not path.exists())
