"""A loss at the full budget, from a surrogate of the same loss at low cost: an autoregressive pair (Kennedy, O'Hagan, 2000).

Legend:
    n, N     points measured at the full budget, points to predict
    q        coordinates that may explain where low cost is wrong
    mu, s    mean and standard deviation of the low-cost loss at a point
    c        mean of mu over the n points
    z        q coordinates of a point, of about [0, 1]
    y        n, losses at the full budget, in the units of the low-cost losses
    e        standard deviation of a low-cost measurement's noise
    M        the Matern kernel with smoothness 5/2 and length scale 1

    full(x) = low(x) + a + (b - 1) (low(x) - c) + d(z(x)),    y = full(x) + noise

    a ~ N(0, A^2),   b ~ N(1, B^2),   d ~ GP(0, D^2 M),   noise ~ N(0, E^2)

Without any measurement it is the low-cost surrogate itself: no bias, a slope of 1. What is left to learn is linear in a and b, so both are
integrated out: y - mu is a Gaussian process with the covariance

    k(x, x') = A^2 + B^2 (mu - c) (mu' - c) + D^2 M(z, z')

The low-cost surrogate is not certain either: its variance s^2 counts as noise of a measurement, and is added to that of a prediction.
E = e, and D = e too, until there are `MIN_FITTED` points: then it is the multiple of e under which y is likeliest. Fitted to fewer, or E
beside it, it took noise for bias (benchmarks/RESULTS.md).
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SHIFT_SPREAD = 0.5
"""A: how far apart the two budgets may lie, all points together. Losses measured at low cost reach over 1."""
SLOPE_SPREAD = 0.5
"""B: differences between configurations shrink where all learn well."""
BIASES = (1.0, 2.0, 4.0)
"""Multiples of e that D may be; the first until data say better."""
MIN_FITTED = 8
MIN_NOISE = 1e-3


@dataclass(frozen=True)
class LowCost:
    """What is known of points at low cost."""

    means: Array
    """mu."""
    deviations: Array
    """s."""
    coordinates: Array
    """z, N x q."""


@dataclass(frozen=True)
class TwoFidelities:
    """A fitted pair; `fit` makes one."""

    points: LowCost
    """The n points measured at the full budget; there may be none."""
    residuals: Array
    """y - mu."""
    bias: float
    """D."""
    noise: float
    """E."""
    centre: float
    """The mean c; 0 without any points."""

    @classmethod
    def fit(cls, points: LowCost, losses: Array, noise: float) -> Self:
        """Return the pair given n losses at the full budget.

        Args:
            points: What is known of the n points at low cost.
            losses: y.
            noise: e.
        """
        noise = max(noise, MIN_NOISE)
        residuals, centre = losses - points.means, float(points.means.mean()) if len(losses) else 0.0
        choices = [cls(points, residuals, bias * noise, noise, centre) for bias in BIASES]
        return choices[0] if len(losses) < MIN_FITTED else max(choices, key=lambda one: one.log_likelihood)

    @property
    def log_likelihood(self) -> float:
        """The logarithm of the residuals' density, but for a constant."""
        L = np.linalg.cholesky(self._covariance_of_measured())  # noqa: N806
        return float(-np.square(np.linalg.solve(L, self.residuals)).sum() / 2 - np.log(np.diag(L)).sum())

    def predict(self, points: LowCost) -> tuple[Array, Array]:
        """Return means and standard deviations (without noise) of the losses at the full budget at N points."""
        prior = SHIFT_SPREAD**2 + self.bias**2
        if not len(self.residuals):
            return points.means, np.sqrt(prior + points.deviations**2)
        spread = prior + SLOPE_SPREAD**2 * (points.means - self.centre) ** 2
        cross = self._kernel(points, self.points)
        solved = np.linalg.solve(self._covariance_of_measured(), np.column_stack([self.residuals, cross.T]))
        explained = (cross * solved[:, 1:].T).sum(axis=1)
        return points.means + cross @ solved[:, 0], np.sqrt(np.maximum(spread - explained, 0.0) + points.deviations**2)

    def fantasize(self, points: LowCost) -> Self:
        """Return the pair after seeing, at points that are being measured, what it expects there."""
        if not len(points.means):
            return self
        means, _ = self.predict(points)
        if not len(self.residuals):
            return replace(self, points=points, residuals=means - points.means)
        joined = LowCost(
            np.concatenate([self.points.means, points.means]),
            np.concatenate([self.points.deviations, points.deviations]),
            np.concatenate([self.points.coordinates, points.coordinates]),
        )
        return replace(self, points=joined, residuals=np.concatenate([self.residuals, means - points.means]))

    def _covariance_of_measured(self) -> Array:
        own: Array = self._kernel(self.points, self.points)
        return own + np.diag(self.points.deviations**2 + self.noise**2)

    def _kernel(self, a: LowCost, b: LowCost) -> Array:
        slopes = np.outer(a.means - self.centre, b.means - self.centre)
        return SHIFT_SPREAD**2 + SLOPE_SPREAD**2 * slopes + self.bias**2 * _matern(a.coordinates, b.coordinates)


def _matern(a: Array, b: Array) -> Array:
    distance = np.sqrt(5 * np.square(a[:, None] - b[None]).sum(axis=2))
    result: Array = (1 + distance + distance**2 / 3) * np.exp(-distance)
    return result
