"""The portfolio as points of a search space, to be tried before anything that a sampler proposes."""

from autopeft.configuration import Scalar
from autopeft.errors import AutopeftError
from autopeft.loops.nearest import holders, point_near, rates_near
from autopeft.methods.topology import Topology
from autopeft.objectives import TRAINABLE_PARAMETERS
from autopeft.portfolio.entries import entries
from autopeft.study.problem import SpaceProblem

LARGEST_SHARE = 2 / 3
"""Of a search's trials the portfolio takes at most so many: the rest are for what the sampler makes of them."""


def portfolio_points(problem: SpaceProblem, topology: Topology, n_most: int | None = None) -> dict[str, dict[str, Scalar]]:
    """Return the points nearest to the portfolio's entries, by the entries' names and in their order.

    Left out is what the backbone can't take, what has a module that the space has no place for, what breaks a bound, and what has the same
    modules as an earlier entry. The learning rate follows from the parameters of the point, not of the entry.

    Args:
        problem: The space, the backbone's costs and the bounds.
        topology: The backbone.
        n_most: At most so many; None for all.
    """
    found: dict[str, dict[str, Scalar]] = {}
    taken = set()
    for entry in entries():
        try:
            configuration = entry.build(topology)
        except AutopeftError:
            continue
        point = point_near(configuration, problem.space)
        if point is None or len(holders(configuration, problem.space)) < len(configuration.modules) or problem.objection(point):
            continue
        modules = problem.space.configuration(point).modules
        if modules not in taken and (n_most is None or len(found) < n_most):
            taken.add(modules)
            found[entry.name] = point | rates_near({"learning_rate": entry.rate(parameters_of(point, problem))}, problem.space)
    return found


def parameters_of(point: dict[str, Scalar], problem: SpaceProblem) -> float:
    """Return the trainable parameters of a point that can be built."""
    return problem.costs_of(point)[TRAINABLE_PARAMETERS.name]
