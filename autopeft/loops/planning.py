"""From a request to a plan: finds all that it names, binds the space to the backbone, and says what is tried first."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from autopeft.budget import Budget
from autopeft.configuration import Configuration, PeftModule
from autopeft.errors import AutopeftError, UnsupportedError
from autopeft.executors.base import Executor
from autopeft.inference import variance_over_rows
from autopeft.loops.confirm import default_number
from autopeft.loops.data import load_data, low_cost_budget, objectives_of
from autopeft.loops.lengths import fit_length
from autopeft.loops.portfolio import LARGEST_SHARE, portfolio_points
from autopeft.loops.start import start_points
from autopeft.loops.warm_start import warm_points
from autopeft.loops.workers import n_threads, runs_inline, start_executor
from autopeft.machine import hardware
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
)
from autopeft.paths import absolute
from autopeft.plugins import import_plugin, plugin_sum
from autopeft.provenance import versions
from autopeft.request import PORTFOLIO, SearchRequest
from autopeft.space.definition import MethodTraits, SpaceDefinition
from autopeft.space.parameter import Categorical
from autopeft.space.reader import read_space, stored_space
from autopeft.space.slots import MethodChoice, Point
from autopeft.space.space import SearchSpace
from autopeft.study.directory import RunDirectory
from autopeft.study.problem import SpaceProblem
from autopeft.tasks import Family, Split, TaskData, early_metrics, family_of
from autopeft.tasks.checks import findings, is_constant
from autopeft.tasks.lengths import lengths_in_words
from autopeft.tasks.metrics import bounds
from autopeft.training.backbone import BackboneSource, find_backbone
from autopeft.training.batches import draw
from autopeft.training.measurement import BackboneFacts, RunnerSettings
from autopeft.training_parameters import TRAINING_PARAMETERS


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
    def n_confirmations(self) -> int:
        """How many trials are confirmed at the full budget."""
        asked = self.request.confirm
        return default_number(self.request.trials, self.budget, len(self.data.train)) if asked is None else asked

    @property
    def space(self) -> SearchSpace:
        """What to choose from."""
        return self.problem.space

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """What is traded off."""
        return self.problem.objectives


def plan(request: SearchRequest) -> SearchPlan:
    """Return what a search would do, without training anything or writing a file; errors as in `search`."""
    with prepared(replace(request, workers=0)) as (found, _):
        return found


@contextmanager
def prepared(request: SearchRequest, stored: Mapping[str, Any] | None = None) -> Iterator[tuple[SearchPlan, Executor]]:
    """Find all that a request names, cheapest first, and start what will run its trials.

    Args:
        request: What is asked for.
        stored: The content of run.json where the run is there already.
    """
    for path in request.plugins:
        import_plugin(path)
    definition = _definition(request, stored)
    data = load_data(request, metric=None if stored is None else stored["task"]["metric"])
    data = replace(data, notes=(*data.notes, *_notes_before_loading(request, data, (stored or {}).get("plugins", {}))))
    objectives = objectives_of(request, data.task)
    backbone = find_backbone(request.model, offline=request.offline, trust_remote_code=request.trust_remote_code, quantize=request.quantize)
    backbone = replace(backbone, dtype=request.dtype, attention=request.attention)
    with closing(_start_executor(request, backbone, data)) as executor:
        facts = executor.describe()
        backbone = replace(backbone, dtype=facts.dtype, attention=facts.attention or "auto")  # as it was loaded
        space, left_out = _bound_space(definition, request, facts.topology, family_of(data.task))
        budget = low_cost_budget(request, data)
        measured = draw(data.validation, budget.evaluation_examples)
        problem = _problem(space, objectives, request, facts, replace(data, validation=measured))
        start = _start(request, problem, facts.topology, is_new=stored is None)
        budget, data = fit_length(budget, data, facts, _most_positions(space))
        data = replace(data, notes=(*data.notes, *_notes_on_trials(data, measured, facts, budget)))
        yield SearchPlan(request, data, backbone, budget, facts, problem, start, definition, left_out), executor


def _definition(request: SearchRequest, stored: Mapping[str, Any] | None) -> SpaceDefinition:
    """Return the space as written. A run goes on in the space that it began in, whatever its name or file stands for by now."""
    names = [method.name for method in all_methods()]
    known = None if stored is None else stored.get("space_definition")
    return read_space(request.space, names) if known is None else stored_space(known, names, request.space)


def _bound_space(
    definition: SpaceDefinition, request: SearchRequest, topology: Topology, family: Family
) -> tuple[SearchSpace, tuple[str, ...]]:
    """Return what of the space as written the backbone and the kind of task can take, and why they can't take the rest."""
    traits = {method.name: _traits(method) for method in all_methods()}
    bound = definition.bind(request.space, n_layers=topology.n_layers, hidden_size=topology.hidden_size, traits=traits)
    space, left_out = supported_part(bound, topology)
    space, unused = usable_recipes(space, topology, family)
    return space, left_out + unused


def _problem(
    space: SearchSpace, objectives: Sequence[Objective], request: SearchRequest, facts: BackboneFacts, measured: TaskData
) -> SpaceProblem:
    """Return the search problem of a space on a backbone; its trivial scores are of the examples that trials measure on."""
    counter, trivial = ParameterCounter(facts.topology), measured.trivial_scores()
    return SpaceProblem(
        space,
        objectives,
        BackboneCosts(counter, facts.head_parameters),
        request.constraints(facts.backbone_parameters),
        trivial,
        counter.resolve,
        early_metrics(family_of(measured.task).metrics.values()),
        {name: math.sqrt(variance_over_rows(value, len(measured.validation), bounds(name))) for name, value in trivial.items()},
        {LATENCY_SECONDS.name, *(metric.name for metric in family_of(measured.task).metrics.values() if metric.is_written)},
    )


def _start(request: SearchRequest, problem: SpaceProblem, topology: Topology, *, is_new: bool) -> dict[str, Point]:
    """Return the points to try first, by what they are called: presets, trials of earlier runs, the portfolio's entries."""
    start: dict[str, Point] = {**start_points(request.presets, problem, topology)}
    if not is_new:  # earlier runs may be gone or have grown since, and the queue of this one holds what they had
        return start
    start |= warm_points(request.warm_start, problem)
    if PORTFOLIO in request.start:
        n_most = max(0, math.ceil(LARGEST_SHARE * request.trials) - len(start))
        start |= {f"portfolio: {name}": point for name, point in portfolio_points(problem, topology, n_most).items()}
    return start


def _notes_before_loading(request: SearchRequest, data: TaskData, plugins: Mapping[str, str]) -> Iterator[str]:
    """Yield what is to be said before a backbone is loaded; `plugins` are sums of those that a run began with."""
    for path in request.plugins:
        if plugins.get(path, plugin_sum(path)) != plugin_sum(path):
            yield f"warning: {path} has changed since the run began: what it measures otherwise now does not compare with earlier trials"
    if request.workers is None and runs_inline(request):
        yield "trials run in this process, one after another, as Ray is not installed; for workers: pip install 'autopeft[ray]'"
    yield from findings(data, low_cost_budget(request, data))


def _notes_on_trials(data: TaskData, measured: Split, facts: BackboneFacts, budget: Budget) -> Iterator[str]:
    """Yield what is to be said of the examples that trials train and measure on."""
    if is_constant(measured) and not is_constant(data.validation):
        note = f"warning: the {len(measured):,} validation examples that trials measure on have a single answer"
        yield f"{note}; --evaluation-examples takes more of the {len(data.validation):,}"
    if family_of(data.task).is_measured_by_writing:
        yield f"every trial writes {len(measured):,} texts when it is trained, which takes long; --evaluation-examples sets how many"
    yield from lengths_in_words(facts.lengths, family_of(data.task), budget.max_length)
    yield from facts.notes


def write_settings(run: RunDirectory, plan: SearchPlan, sources: Mapping[str, str], command: str) -> None:
    """Write run.json, which makes a folder a run."""
    facts = plan.facts
    earlier = run.settings() if run.settings_path.exists() else {}
    measured = {objective.name for objective in plan.objectives}
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
            "confirmations": {"number": plan.n_confirmations, "budget": plan.budget.full().to_dict()},
            "objectives": [asdict(objective) for objective in plan.objectives],
            "trivial_scores": {plan.objectives[index].name: value for index, value in plan.problem.trivial.items()},
            "full_trivial_scores": {name: value for name, value in plan.data.trivial_scores().items() if name in measured},
            "constraints": [{"name": one.objective.name, "upper": one.upper} for one in plan.problem.constraints],
            "n_layers": facts.topology.n_layers,
            "hidden_size": facts.topology.hidden_size,
            "space_definition": plan.definition.model_dump(mode="json", exclude_defaults=True),
            "space_points": plan.space.size,
            "left_out": list(plan.left_out),
            "plugins": {path: plugin_sum(path) for path in plan.request.plugins} | earlier.get("plugins", {}),
            "backbone_parameters": facts.backbone_parameters,
            "head_parameters": facts.head_parameters,
            "precision": facts.precision,
            "dtype": facts.dtype,
            "attention": facts.attention,
            "device": facts.device,
            "pack": facts.pack,
            "versions": versions(),
            "hardware": hardware(),
        }
    )


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


def usable_recipes(space: SearchSpace, topology: Topology, family: Family) -> tuple[SearchSpace, tuple[str, ...]]:
    """Return the space without the training parameters that mean nothing for its methods, this model and kind of task, and why.

    Raises:
        UnavailableError: An optimiser that it may choose is not installed.
    """
    # They need torch: what is wrong with a request shows before it is loaded.
    from autopeft.training.recipes import left_out as reason_against
    from autopeft.training.recipes.optimizers import require_optimizer

    for name in _optimizers(space):
        require_optimizer(name)
    methods = {choice.method for slot in space.slots for choice in slot.choices}
    moot = space.moot(methods)
    names = [*(one.name for one in space.training), *(name for name, _ in space.fixed_training)]
    reasons = {name: f"no method of the space is one of {', '.join(sorted(TRAINING_PARAMETERS[name].methods))}" for name in moot}
    reasons |= {name: reason for name in names if (reason := reason_against(name, family, topology))}
    kept = replace(
        space,
        training=tuple(one for one in space.training if one.name not in reasons),
        fixed_training=tuple((name, value) for name, value in space.fixed_training if name not in reasons),
    )
    return kept, tuple(f"{name} is left out: {reason}" for name, reason in sorted(reasons.items()))


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


def _start_executor(request: SearchRequest, backbone: BackboneSource, data: TaskData) -> Executor:
    return start_executor(runner_settings(request, backbone, data, n_threads(request)), request, request.trial_timeout)


def runner_settings(request: SearchRequest, backbone: BackboneSource, data: TaskData, threads: int | None) -> RunnerSettings:
    """Return what whoever runs a search's trials loads."""
    compared = {TRAIN_SECONDS.name, PEAK_BYTES.name} & {*request.objectives} or {request.max_train_seconds, request.max_memory} - {None}
    return RunnerSettings(
        backbone,
        data.task,
        data.train,
        data.validation,
        request.plugins,
        device=request.device,
        threads=threads,
        gradient_checkpointing=request.gradient_checkpointing,
        # The first to see an example pays for what the others reuse: where time or memory is compared, nobody reuses anything.
        cache_bytes=0 if compared else request.n_cache_bytes,
        pack=request.n_packed,
        latency=LATENCY_SECONDS.name in request.objectives,
        budget=low_cost_budget(request, data),
        trials=absolute(Path(request.out) / "trials") if request.out else None,
    )


def _optimizers(space: SearchSpace) -> list[str]:
    """Return the names of the optimisers that a space may choose."""
    searched = [str(value) for one in space.training if isinstance(one, Categorical) and one.name == "optimizer" for value in one.values]
    return [*searched, *(str(value) for name, value in space.fixed_training if name == "optimizer")]


def _traits(method: Method) -> MethodTraits:
    return MethodTraits(method.sizes, bool(method.size_name), method.placed_in_layers, bool(method.default_targets))


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
