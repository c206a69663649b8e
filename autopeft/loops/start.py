"""Presets as points of a search space, to be tried before anything that a sampler proposes."""

from collections.abc import Sequence

from autopeft.configuration import PeftModule, Scalar
from autopeft.errors import AutopeftError, InvalidInputError
from autopeft.methods.presets import PRESETS, Preset, get_preset
from autopeft.methods.registry import get_method
from autopeft.methods.topology import Topology
from autopeft.space.space import SearchSpace
from autopeft.study.problem import SpaceProblem


def start_points(names: Sequence[str], problem: SpaceProblem, topology: Topology) -> dict[str, dict[str, Scalar]]:
    """Return, by preset, the point of the space that comes nearest to it: each module at the nearest size, targets and layers.

    Raises:
        UnknownNameError: There is no such preset.
        InvalidInputError: The space lacks a module of it, can't switch off another, or the point may not be proposed.
    """
    return {name: _start_point(get_preset(name), problem, topology) for name in names}


def _start_point(preset: Preset, problem: SpaceProblem, topology: Topology) -> dict[str, Scalar]:
    try:
        point = _nearest(preset, problem.space, topology)
        if reason := problem.objection(point):
            raise InvalidInputError(f"it comes to {problem.space.configuration(point).describe()}, and {reason}")
    except AutopeftError as error:
        raise InvalidInputError(f"the search can't start with {preset.name}: {error}", remedy=_others(problem, topology)) from None
    return point


def _others(problem: SpaceProblem, topology: Topology) -> str:
    """Say which presets the space can express."""

    def can(preset: Preset) -> bool:
        try:
            return not problem.objection(_nearest(preset, problem.space, topology))
        except AutopeftError:
            return False

    found = [name for name, preset in PRESETS.items() if can(preset)]
    return f"The space can start with: {', '.join(found)}." if found else "The space can express no preset."


def _nearest(preset: Preset, space: SearchSpace, topology: Topology) -> dict[str, Scalar]:
    wanted = {module.method: module for module in preset.build(topology).modules}
    choices: dict[str, PeftModule] = {}
    for method, module in wanted.items():
        holders = [slot for slot in space.slots if slot.name not in choices and any(one.method == method for one in slot.choices)]
        if not holders:
            raise InvalidInputError(f"the space {space.name} has no place for {method}")
        choices[holders[0].name] = module
    if always := [slot.name for slot in space.slots if slot.name not in choices and not slot.can_be_off]:
        raise InvalidInputError(f"the space {space.name} never switches off {always[0]}")
    return space.point_near({name: _with_targets(module) for name, module in choices.items()})


def _with_targets(module: PeftModule) -> PeftModule:
    return get_method(module.method).complete(module)
