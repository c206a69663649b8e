"""The search: asks the study for configurations, has an executor train them, tells the study what came of it."""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from autopeft.budget import Budget
from autopeft.configuration import Configuration, PeftModule
from autopeft.errors import AutopeftError, UnsupportedError
from autopeft.executors.base import Executor
from autopeft.loops.lengths import fit_length
from autopeft.loops.portfolio import LARGEST_SHARE, portfolio_points
from autopeft.loops.schedule import Schedule
from autopeft.loops.start import start_points
from autopeft.loops.warm_start import warm_points
from autopeft.loops.workers import count_workers, start_executor
from autopeft.methods.counting import ParameterCounter
from autopeft.methods.method import Method
from autopeft.methods.registry import all_methods, get_method
from autopeft.methods.topology import Topology
from autopeft.objectives import (
    ADAPTER_BYTES,
    LATENCY_SECONDS,
    PEAK_BYTES,
    TRAIN_SECONDS,
    TRAINABLE_PARAMETERS,
    Objective,
    adapter_bytes,
    choose_objectives,
)
from autopeft.paths import absolute
from autopeft.plugins import import_plugin
from autopeft.provenance import hardware, versions
from autopeft.request import PORTFOLIO, SearchRequest
from autopeft.rungs.halving import SuccessiveHalving
from autopeft.space.definition import MethodTraits, SpaceDefinition
from autopeft.space.reader import read_space, stored_space
from autopeft.space.space import MethodChoice, Point, SearchSpace
from autopeft.study import pauses
from autopeft.study.directory import RunDirectory
from autopeft.study.disk import writing
from autopeft.study.lock import driving
from autopeft.study.problem import SpaceProblem
from autopeft.study.record import TrialRecord, is_on_front
from autopeft.study.rows import json_lines
from autopeft.study.study import Study
from autopeft.tasks import TaskData, family_of, load, load_dataset, load_files
from autopeft.tasks.checks import findings
from autopeft.tasks.dataset import task_name
from autopeft.training.backbone import BackboneSource, find_backbone, require_weights
from autopeft.training.batches import draw
from autopeft.training.measurement import Assignment, BackboneFacts, Outcome, RunnerSettings

MAX_RETRIES = 2
"""Times that a trial is tried again whose worker died: once may be the machine's fault, three times is the trial's own."""


class Progress(Protocol):
    """Hears how a search goes on."""

    def started(self, plan: "SearchPlan", run: RunDirectory, n_done: int) -> None:
        """The first trial is about to start; so many are done already."""

    def trial_finished(self, record: TrialRecord, on_front: bool, n_done: int, n_trials: int) -> None:
        """A trial ended, well or not, or has paused at a rung; so many of so many have been trained at all."""


@dataclass(frozen=True)
class SearchPlan:
    """A request with everything found that it names, before any training."""

    request: SearchRequest
    data: TaskData
    backbone: BackboneSource
    budget: Budget
    facts: BackboneFacts
    problem: SpaceProblem
    """The space bound to the backbone, the objectives and the constraints."""
    start: Mapping[str, Point]
    """Points to try first, by preset, then by trial of an earlier run, then by entry of the portfolio."""
    definition: SpaceDefinition
    """The space as written."""
    left_out: tuple[str, ...] = ()
    """Why the backbone can't take methods that the space as written has, one sentence each."""

    @property
    def space(self) -> SearchSpace:
        """What to choose from."""
        return self.problem.space

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """What is traded off."""
        return self.problem.objectives


def search(request: SearchRequest, progress: Progress, sources: Mapping[str, str] | None = None, command: str = "") -> RunDirectory:
    """Run a new search to its end.

    Args:
        request: What to search.
        progress: Hears of every trial.
        sources: Where each setting came from, for run.json.
        command: The command line that started the search, for run.json.

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

    return _search(request, progress, created, sources or {}, command)


def plan(request: SearchRequest) -> SearchPlan:
    """Return what a search would do, without training anything or writing a file; errors as in `search`."""
    with _prepared(replace(request, workers=0)) as (found, _):
        return found


def resume(
    path: Path, progress: Progress, changes: Mapping[str, Any] | None = None, command: str = "", source: str = "flag"
) -> RunDirectory:
    """Go on with a run that was stopped; arguments and errors as in `search`.

    Args:
        path: Its folder, wherever that is now.
        progress: Hears of every trial.
        changes: Settings that are asked anew, of those in `request.CHANGEABLE`: `trials` is a new total.
        command: As in `search`.
        source: Where the changes came from, for run.json.
    """
    run, changes = RunDirectory.open(path), changes or {}
    settings = run.asked()
    sources = {name: entry["source"] for name, entry in settings.items()} | dict.fromkeys(changes, source)
    request = SearchRequest.from_settings(settings).changed(changes)
    with driving(run):
        return _search(request, progress, lambda: nullcontext(run), sources, command, run.settings())


def _search(
    request: SearchRequest,
    progress: Progress,
    open_run: Callable[[], AbstractContextManager[RunDirectory]],
    sources: Mapping[str, str],
    command: str,
    stored: Mapping[str, Any] | None = None,
) -> RunDirectory:
    """Search; `stored` is the content of run.json where the run is there already."""
    with _prepared(request, stored) as (plan, executor), open_run() as run, writing(run):
        if stored is not None:
            require_weights(plan.backbone, stored["model"])
        study = Study.create(run, plan.problem, request.sampler, request.seed)
        study.start_with(plan.start)
        _write_settings(run, plan, sources, command)  # last, for it makes the folder a run: one without its queue would be another run
        study.take_over()
        run.write_trial_lines(record.to_row() for record in study.records() if record.is_over)  # a crash may have torn the last
        progress.started(plan, run, len(study.records()) - study.n_begun)
        _loop(plan, run, study, executor, progress)
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
            f"{reasons.total()} of {len(records)} trials failed: {listed}", remedy=f"See {run.path}/trials; --max-failed sets how many may."
        )


@contextmanager
def _prepared(request: SearchRequest, stored: Mapping[str, Any] | None = None) -> Iterator[tuple[SearchPlan, Executor]]:
    """Find all that a request names, cheapest first, and start what will run its trials; `stored` as in `_search`."""
    for path in request.plugins:
        import_plugin(path)
    methods = all_methods()
    # A run goes on in the space that it began in, whatever its name or file stands for by now.
    known = None if stored is None else stored.get("space_definition")
    names = [method.name for method in methods]
    definition = read_space(request.space, names) if known is None else stored_space(known, names, request.space)
    data = load_data(request)
    data = replace(data, notes=(*data.notes, *findings(data, request.budget(data.task.low_cost))))
    directions = {name: metric.direction for name, metric in family_of(data.task).metrics.items()}
    objectives = choose_objectives(request.objectives or (data.task.metric, TRAINABLE_PARAMETERS.name), directions)
    backbone = find_backbone(request.model, offline=request.offline, trust_remote_code=request.trust_remote_code)
    with closing(_start(request, backbone, data)) as executor:
        facts = executor.describe()
        topology = facts.topology
        traits = {method.name: _traits(method) for method in methods}
        bound = definition.bind(request.space, n_layers=topology.n_layers, hidden_size=topology.hidden_size, traits=traits)
        space, left_out = supported_part(bound, topology)
        constraints = request.constraints(facts.backbone_parameters)
        budget = request.budget(data.task.low_cost)
        trivial = replace(data, validation=draw(data.validation, budget.evaluation_examples)).trivial_scores()  # of what trials measure on
        counter = ParameterCounter(topology)
        problem = SpaceProblem(space, objectives, BackboneCosts(counter, facts.head_parameters), constraints, trivial, counter.resolve)
        start = start_points(request.presets, problem, topology)
        if stored is None:  # the runs may be gone or have grown when this one is resumed, and its queue holds what they had
            start |= warm_points(request.warm_start, problem)
            if PORTFOLIO in request.start:
                n_most = max(0, math.ceil(LARGEST_SHARE * request.trials) - len(start))
                start |= {f"portfolio: {name}": point for name, point in portfolio_points(problem, topology, n_most).items()}
        if facts.n_cut:
            note = f"{facts.n_cut:,} training examples of a trial have more than {budget.max_length:,} tokens and are cut, or read in parts"
            data = replace(data, notes=(*data.notes, note))
        budget, data = fit_length(budget, data, facts, _most_positions(space))
        yield SearchPlan(request, data, backbone, budget, facts, problem, start, definition, left_out), executor


def _loop(plan: SearchPlan, run: RunDirectory, study: Study, executor: Executor, progress: Progress) -> None:
    """Keep every worker busy until the number of trials is reached and none has earned to go on, or the time is up.

    While workers train, the next trial is thought of and held ready: a worker that ends its trial waits for nothing. Its proposal lacks the
    outcome that set the worker free, as if there were one worker more.
    """
    deadline = time.monotonic() + 60 * plan.request.time_limit if plan.request.time_limit else float("inf")
    halving = SuccessiveHalving(plan.request.rungs, plan.request.reduction)
    schedule = Schedule(run, study, plan.budget, halving, plan.request.trials)
    running: set[int] = set()
    losses: Counter[int] = Counter()
    ready: Assignment | None = None

    def start(assignment: Assignment) -> None:
        executor.submit(assignment)
        running.add(assignment.trial)

    while True:
        while len(running) < executor.capacity and time.monotonic() < deadline:
            assignment = schedule.next_assignment()
            if assignment is None:
                break
            start(assignment)
        if not running:
            break
        if executor.works_apart and ready is None and time.monotonic() < deadline:
            ready = schedule.next_assignment()
        outcome = executor.next_outcome()
        losses[outcome.assignment.trial] += outcome.lost
        if outcome.lost and losses[outcome.assignment.trial] <= MAX_RETRIES:
            executor.submit(outcome.assignment)
            continue
        running.remove(outcome.assignment.trial)
        if ready is not None and time.monotonic() < deadline:
            start(ready)
            ready = None
        record = _record(run, study, outcome)
        records = study.records()
        n_done = len(records) - len(running) - (ready is not None) - study.n_begun
        progress.trial_finished(record, is_on_front(record, records, study.objectives), n_done, plan.request.trials)
    if ready is not None:
        study.put_back(ready.trial)
    study.put_back_begun()
    if time.monotonic() < deadline:  # else a resumed run may go on with them
        _stop_paused(run, study)


def _record(run: RunDirectory, study: Study, outcome: Outcome) -> TrialRecord:
    """Write a trial's files, then its record: what the study knows of is on disk."""
    assignment, measurement = outcome.assignment, outcome.measurement
    files = {"configuration.json": assignment.configuration.to_json().encode()}
    if measurement is None:
        run.write_trial(assignment.trial, files | {"error.txt": (outcome.traceback or outcome.error).encode()})
        record = study.fail(assignment, outcome.error)
    else:
        files |= {"curve.jsonl": json_lines(asdict(point) for point in measurement.curve)}
        files |= {f"adapter/{name}": content for name, content in outcome.adapter.items()}
        run.write_trial(assignment.trial, files)
        if measurement.progress < 1:
            pauses.keep(run, outcome)
            return study.pause(assignment, measurement)
        record = study.tell(assignment, measurement)
    _close(run, record)
    return record


def _stop_paused(run: RunDirectory, study: Study) -> None:
    for record in study.records():
        if record.state == "paused":
            _close(run, study.stop(record.number))


def _close(run: RunDirectory, record: TrialRecord) -> None:
    """Write a trial's line, and drop what it would have needed to go on."""
    run.append_trial_line(record.to_row())
    pauses.drop(run, record.number)


def _traits(method: Method) -> MethodTraits:
    return MethodTraits(method.sizes, bool(method.size_name), method.placed_in_layers, bool(method.default_targets))


def supported_part(space: SearchSpace, topology: Topology) -> tuple[SearchSpace, tuple[str, ...]]:
    """Return the space without the methods that the backbone can't take, and why each was left out.

    Raises:
        UnsupportedError: It can take none of them.
    """
    reasons = {
        choice.method: reason
        for slot in space.slots
        for choice in slot.choices
        if (reason := get_method(choice.method).objection(topology))
    }
    slots = [
        replace(slot, choices=tuple(_where_it_can(choice, topology) for choice in slot.choices if choice.method not in reasons))
        for slot in space.slots
    ]
    left_out = tuple(f"{method} is left out: {reason}" for method, reason in sorted(reasons.items()))
    if slots and not any(slot.choices for slot in slots):
        raise UnsupportedError(f"{topology.model_class} can take no method of the space {space.name}; {'; '.join(left_out)}")
    return replace(space, slots=tuple(slot for slot in slots if slot.choices)), left_out


def _most_positions(space: SearchSpace) -> int:
    """Return how many positions the modules of a configuration may take from the text."""
    return sum(
        max(get_method(choice.method).positions(PeftModule(choice.method, size)) for choice in slot.choices for size in choice.sizes)
        for slot in space.slots
    )


def _where_it_can(choice: MethodChoice, topology: Topology) -> MethodChoice:
    """Return a choice that leaves out those of its layers that a hybrid model can't take it in."""
    layers = get_method(choice.method).layers_of(topology)
    return choice if layers == topology.layers else replace(choice, layers=layers)


@dataclass(frozen=True)
class BackboneCosts:
    """What a configuration costs on a backbone; a class, and not a closure, so that a problem can be pickled."""

    count: ParameterCounter
    head_parameters: int

    def __call__(self, configuration: Configuration) -> dict[str, float] | None:
        """Return the exact costs by name; None if the backbone can't take it: blocks may not divide its width."""
        try:
            parameters = self.count(configuration)
        except AutopeftError:
            return None
        return {TRAINABLE_PARAMETERS.name: float(parameters), ADAPTER_BYTES.name: float(adapter_bytes(parameters, self.head_parameters))}


def load_data(request: SearchRequest, *, with_test: bool = False) -> TaskData:
    """Read the task that a request names; a search never holds its test examples, and trains on the same ones either way.

    Raises:
        InvalidInputError: A file breaks a rule.
        UnknownNameError: There is no such task.
        UnavailableError: The data is neither in a folder nor can the hub be reached.
    """
    if request.task is not None:
        return load(request.task, data_dir=request.data_dir, offline=request.offline, with_test=with_test)
    columns: dict[str, Any] = {"text": request.text, "label": request.label, "kind": request.kind}
    if request.dataset is not None:
        return load_dataset(request.dataset, splits=request.splits, **columns, offline=request.offline, with_test=with_test)
    assert request.train is not None
    return load_files(request.train, request.validation, request.test, **columns, with_test=with_test)


def _start(request: SearchRequest, backbone: BackboneSource, data: TaskData) -> Executor:
    workers = count_workers(request.workers)
    settings = runner_settings(request, backbone, data, threads=1 if workers else None)
    return start_executor(settings, workers, request.address, request.trial_timeout)


def runner_settings(request: SearchRequest, backbone: BackboneSource, data: TaskData, threads: int | None) -> RunnerSettings:
    """Return what whoever runs a search's trials loads."""
    compared = {TRAIN_SECONDS.name, PEAK_BYTES.name} & {*request.objectives} or {request.max_train_seconds, request.max_memory} - {None}
    return RunnerSettings(
        backbone,
        data.task,
        data.train,
        data.validation,
        request.plugins,
        threads=threads,
        # The first to see an example pays for what the others reuse: where time or memory is compared, nobody reuses anything.
        cache_bytes=0 if compared else request.n_cache_bytes,
        latency=LATENCY_SECONDS.name in request.objectives,
        budget=request.budget(data.task.low_cost),
    )


def _write_settings(run: RunDirectory, plan: SearchPlan, sources: Mapping[str, str], command: str) -> None:
    facts = plan.facts
    earlier = run.settings() if run.settings_path.exists() else {}
    run.write_settings(
        {
            "name": run.path.resolve().name,
            "created": earlier.get("created", datetime.now(UTC).isoformat(timespec="seconds")),
            "command": earlier.get("command", command),
            "settings": replace(plan.request, out=absolute(run.path)).to_settings(sources),  # it may have been moved
            "task": plan.data.task.to_dict(),
            "examples": {"train": len(plan.data.train), "validation": len(plan.data.validation)},
            "data_notes": list(plan.data.notes),
            "model": asdict(plan.backbone),
            "budget": plan.budget.to_dict(),
            "objectives": [asdict(objective) for objective in plan.objectives],
            "trivial_scores": {plan.objectives[index].name: value for index, value in plan.problem.trivial.items()},
            "constraints": [{"name": one.objective.name, "upper": one.upper} for one in plan.problem.constraints],
            "n_layers": facts.topology.n_layers,
            "hidden_size": facts.topology.hidden_size,
            "space_definition": plan.definition.model_dump(mode="json", exclude_defaults=True),
            "space_points": plan.space.size,
            "left_out": list(plan.left_out),
            "backbone_parameters": facts.backbone_parameters,
            "head_parameters": facts.head_parameters,
            "precision": facts.precision,
            "device": facts.device,
            "versions": versions(),
            "hardware": hardware(),
        }
    )


def _free_folder(request: SearchRequest) -> Path:
    """Return runs/<task>, or the first of runs/<task>-2, -3, ... that is not there yet."""
    name = request.task or (task_name(request.dataset) if request.dataset else Path(str(request.train)).stem)
    candidates = (Path("runs") / (name if number == 1 else f"{name}-{number}") for number in count(1))
    return next(path for path in candidates if not path.exists())
