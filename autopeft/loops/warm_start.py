"""What earlier searches found, as points of a search space, to be tried before anything that a sampler proposes.

Layers keep their relative depth, as in `autopeft.loops.transfer`; sizes, targets, options and training hyper-parameters take the space's
nearest values; modules that the space has no place for are left out.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from autopeft.configuration import Configuration, PeftModule, Scalar
from autopeft.errors import InvalidInputError
from autopeft.loops.transfer import move
from autopeft.methods.registry import get_method
from autopeft.space.parameter import Real
from autopeft.space.space import SearchSpace
from autopeft.study.directory import RunDirectory
from autopeft.study.foresight import Foresight
from autopeft.study.record import front
from autopeft.study.study import Study


def warm_points(paths: Sequence[str], foresight: Foresight) -> dict[str, dict[str, Scalar]]:
    """Return the points nearest to the fronts of some runs, by run and trial, without those that mean the same or may not be proposed.

    Raises:
        InvalidInputError: There is no such run, or nothing on its front can be expressed in the space.
    """
    found: dict[str, dict[str, Scalar]] = {}
    taken: set[str] = set()
    for path in paths:
        run = RunDirectory.open(Path(path))
        study, n_layers = Study.open(run), run.settings()["n_layers"]
        usable = 0
        for record in front(study.records(), study.objectives):
            point = _nearest(move(record.configuration, n_layers, foresight.space.n_layers), foresight.space)
            if point is None or foresight.objection(point):
                continue
            usable += 1
            if (name := foresight.space.configuration(point).id) not in taken:
                taken.add(name)
                found[f"{run.path.resolve().name}, trial {record.number}, in {run.path.resolve()}"] = point
        if not usable:
            raise InvalidInputError(
                f"nothing on the front of {path} can be tried in the space {foresight.space.name}",
                remedy="Give a run of a space with the same methods, or leave its --warm-start out.",
            )
    return found


def _nearest(configuration: Configuration, space: SearchSpace) -> dict[str, Scalar] | None:
    """Return the nearest point; None if the space has no place for any of the modules."""
    choices: dict[str, PeftModule] = {}
    for module in configuration.modules:
        holders = [slot for slot in space.slots if slot.name not in choices and any(one.method == module.method for one in slot.choices)]
        if holders:
            choices[holders[0].name] = replace(module, targets=module.targets or get_method(module.method).default_targets)
    if not choices:
        return None
    point = space.point_near(choices)
    for parameter in space.training:
        if isinstance(parameter, Real) and parameter.name in configuration.training:
            point[parameter.name] = min(max(configuration.training[parameter.name], parameter.low), parameter.high)
    return point
