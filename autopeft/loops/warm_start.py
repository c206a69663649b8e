"""What earlier searches found, as points of a search space, to be tried before anything that a sampler proposes.

Layers keep their relative depth, as in `autopeft.loops.transfer`; sizes, targets, options and training hyper-parameters take the space's
nearest values; modules that the space has no place for are left out.
"""

from collections.abc import Sequence
from pathlib import Path

from autopeft.configuration import Scalar
from autopeft.errors import InvalidInputError
from autopeft.loops.nearest import point_near
from autopeft.loops.transfer import move
from autopeft.study.directory import RunDirectory
from autopeft.study.problem import SpaceProblem
from autopeft.study.reader import StudyReader
from autopeft.study.record import front, low_cost_front


def warm_points(paths: Sequence[str], problem: SpaceProblem) -> dict[str, dict[str, Scalar]]:
    """Return the points nearest to the fronts of some runs, by run and trial, without those that mean the same or may not be proposed.

    Raises:
        InvalidInputError: There is no such run, or nothing on its front can be expressed in the space.
    """
    found: dict[str, dict[str, Scalar]] = {}
    taken: set[str] = set()
    for path in paths:
        run = RunDirectory.open(Path(path))
        study, n_layers = StudyReader.open(run), run.settings("n_layers")["n_layers"]
        usable = 0
        records = study.records()
        both = {one.number: one for some in (front, low_cost_front) for one in some(records, study.objectives)}  # confirmed ones first
        for record in both.values():
            point = point_near(move(record.configuration, n_layers, problem.space.n_layers), problem.space)
            if point is None or problem.objection(point):
                continue
            usable += 1
            if (name := problem.space.configuration(point).id) not in taken:
                taken.add(name)
                found[f"{run.path.resolve().name}, trial {record.number}, in {run.path.resolve()}"] = point
        if not usable:
            raise InvalidInputError(
                f"nothing on the front of {path} can be tried in the space {problem.space.name}",
                remedy="Give a run of a space with the same methods, or leave its --warm-start out.",
            )
    return found
