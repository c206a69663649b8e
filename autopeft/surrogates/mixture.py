"""A mixture of Gaussian processes over one objective that differ in their hyper-parameters."""

from collections.abc import Iterable
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
        return _joined(member.predict(points) for member in self.members)

    @property
    def noise_deviation(self) -> float:
        """Standard deviation of a measurement's noise."""
        return float(np.sqrt(np.mean([member.noise_deviation**2 for member in self.members])))

    def leave_one_out(self) -> tuple[Array, Array]:
        """Return the mean and the standard deviation of each measurement that the others foretell."""
        return _joined(member.leave_one_out() for member in self.members)

    def fantasize(self, points: Array) -> "Mixture":
        """Return the mixture after each of its processes has seen, at points still running, what it expects there."""
        return Mixture(tuple(member.fantasize(points) for member in self.members))


def _joined(each: Iterable[tuple[Array, Array]]) -> tuple[Array, Array]:
    means, deviations = (np.stack(some) for some in zip(*each, strict=True))
    mean: Array = means.mean(axis=0)
    return mean, np.sqrt((deviations**2).mean(axis=0) + means.var(axis=0))
