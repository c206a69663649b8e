"""A mixture of Gaussian processes over one objective that differ in their hyper-parameters."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autopeft.surrogates.gaussian_process import GaussianProcess

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Mixture:
    """Processes of equal weight."""

    members: tuple[GaussianProcess, ...]

    def predict(self, points: Array) -> tuple[Array, Array]:
        """Return the mixture's means and standard deviations (without noise) at N points."""
        means, deviations = (np.stack(each) for each in zip(*(member.predict(points) for member in self.members), strict=True))
        mean: Array = means.mean(axis=0)
        return mean, np.sqrt((deviations**2).mean(axis=0) + means.var(axis=0))

    def fantasize(self, points: Array) -> "Mixture":
        """Return the mixture after each of its processes has seen, at points still running, what it expects there."""
        return Mixture(tuple(member.fantasize(points) for member in self.members))
