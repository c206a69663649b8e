"""C2-DTLZ2 with noise: three objectives over eight numbers, feasible only in four patches of the front (Jain, Deb, 2014).

Nothing is known before a trial, and whether it is feasible is measured with it.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from botorch.test_functions.multi_objective import C2DTLZ2
from numpy.typing import NDArray
from optuna.distributions import FloatDistribution

from autopeft.pareto import hypervolume, non_dominated
from autopeft.samplers.problem import SearchProblem

Array = NDArray[np.float64]

N_VARIABLES, N_OBJECTIVES = 8, 3
REFERENCE = np.full(N_OBJECTIVES, 1.1)
NOISE = 0.01
N_ON_SPHERE, N_IN_BOX = 4000, 100_000
"""Points from which the true front's hypervolume is estimated, to about 0.002."""


class ConstrainedSphere:
    """The problem."""

    name = "C2-DTLZ2, 3 objectives"
    directions = ("minimize",) * N_OBJECTIVES
    constraints = ("patches",)

    def __init__(self) -> None:
        self._function = C2DTLZ2(dim=N_VARIABLES, num_objectives=N_OBJECTIVES).double()

    @cached_property
    def search_problem(self) -> SearchProblem:
        """Eight numbers in [0, 1]."""
        space = {f"x{i}": FloatDistribution(0.0, 1.0) for i in range(N_VARIABLES)}
        return SearchProblem(space, trivial=dict.fromkeys(range(N_OBJECTIVES), 1.1))

    def observe(self, params: dict[str, Any], rng: np.random.Generator) -> tuple[list[float], dict[str, float]]:
        """Return the noisy objectives, and how far the point is outside the patches."""
        losses, slack = self._evaluate([params])
        return (losses[0] + NOISE * rng.normal(size=N_OBJECTIVES)).tolist(), {self.constraints[0]: float(-slack[0])}

    def reached(self, points: Sequence[dict[str, Any]]) -> float:
        """Return the feasible points' share of the true front's hypervolume."""
        losses, slack = self._evaluate(points)
        found = losses[(slack >= 0) & (losses < REFERENCE).all(axis=1)]
        return hypervolume(found[non_dominated(found)], REFERENCE) / self.best_hypervolume if len(found) else 0.0

    @cached_property
    def best_hypervolume(self) -> float:
        """Hypervolume of the feasible part of the unit sphere, by drawing points from the box below the reference point."""
        rng = np.random.default_rng(0)
        sphere = np.abs(rng.normal(size=(N_ON_SPHERE, N_OBJECTIVES)))
        sphere /= np.linalg.norm(sphere, axis=1, keepdims=True)
        corners = ((sphere - 1) ** 2 + (sphere**2).sum(axis=1, keepdims=True) - sphere**2).min(axis=1)
        middle = ((sphere - N_OBJECTIVES**-0.5) ** 2).sum(axis=1)
        front = sphere[np.minimum(corners, middle) <= 0.2**2]
        box = rng.random((N_IN_BOX, N_OBJECTIVES)) * REFERENCE
        dominated = np.concatenate([(part[:, None] >= front).all(axis=2).any(axis=1) for part in np.array_split(box, 200)])
        return float(dominated.mean() * REFERENCE.prod())

    def _evaluate(self, points: Sequence[dict[str, Any]]) -> tuple[Array, Array]:
        inputs = torch.tensor([[params[name] for name in self.search_problem.distributions] for params in points], dtype=torch.double)
        return self._function(inputs).numpy(), self._function.evaluate_slack_true(inputs)[:, 0].numpy()
