"""What a benchmark of samplers asks of a problem."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from autopeft.samplers.problem import SearchProblem

Parameters = dict[str, Any]


class Problem(Protocol):
    """Objectives over a space, observed with noise, and how much of the best there is some points reach without it."""

    name: str
    directions: Sequence[str]
    """Of the m objectives, "minimize" or "maximize"."""
    constraints: Sequence[str]
    """The names of what is measured and must not exceed its bound."""

    @property
    def search_problem(self) -> SearchProblem:
        """The space, and what a search tells a sampler of it."""

    def observe(self, params: Parameters, rng: np.random.Generator) -> tuple[list[float], dict[str, float]]:
        """Return a trial's m values, and by how much it exceeds each constraint."""

    def reached(self, points: Sequence[Parameters]) -> float:
        """Return the hypervolume of n points' noise-free values, as a fraction of the best possible."""
