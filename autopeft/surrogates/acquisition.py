"""What a point promises, given what was observed and what still runs: the log expected hypervolume improvement.

Legend:
    n, N, q   observed points, points to score, points still running
    d, m      coordinates, losses
    Z         n x d, observed points
    Y         n x m, observed losses; a column of a known loss is not read
    r         m, reference point

A known loss is one of the coordinates, and has no variance; every other has a surrogate of its own. Points improve on the surrogates'
means at Z and at running points, not on Y: a measurement that its noise favoured is no incumbent.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from autopeft.surrogates.exact_improvement import HypervolumeImprovement
from autopeft.surrogates.gaussian_process import GaussianProcess

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Predict = Callable[[Array], tuple[Array, Array]]


@dataclass(frozen=True)
class Evidence:
    """What a score follows from."""

    observed: Array
    """Z."""
    losses: Array
    """Y."""
    running: Array
    """q x d."""
    columns: tuple[int | None, ...]
    """For each loss the coordinate that it is, or None if it is measured."""
    feasible: Mask
    """n: which observed points keep to all bounds. The others teach what to expect, but nothing need improve on them."""
    unfinished: Array
    """z x d: points that were measured before their end; nothing need improve on them either."""
    extrapolated: Array
    """z x m: losses that they would have reached."""
    remaining: Array
    """z: shares of the way that they had left, a coordinate of the surrogates that is 0 at the end."""
    groups: tuple[tuple[int, ...], ...] = ()
    """Coordinates that are flags of one kind (see `kernel`)."""


class Process(Protocol):
    """A fitted surrogate of one loss."""

    def predict(self, points: Array) -> tuple[Array, Array]:
        """Return means and standard deviations at N x d points."""

    def believing(self, points: Array) -> "Process":
        """Return the process after seeing what it expects at points still running."""


Fit = Callable[[Array, Array, Sequence[Sequence[int]]], Process]
"""Makes a surrogate from n x d points, their n losses, and the coordinates that are flags of one kind."""


def acquisition(evidence: Evidence, reference: Array, fit: Fit = GaussianProcess.fit) -> Callable[[Array], Array]:
    """Return the function that scores N x d points; larger is better.

    Args:
        evidence: What is known so far; at least one observed point.
        reference: r.
        fit: Makes the surrogate of a measured loss.
    """
    predictors = [_predictor(evidence, index, fit) for index in range(len(evidence.columns))]

    def predict(points: Array) -> tuple[Array, Array]:
        each = [predictor(points) for predictor in predictors]
        return np.stack([mean for mean, _ in each], axis=1), np.stack([deviation for _, deviation in each], axis=1)

    incumbents, _ = predict(np.concatenate([evidence.observed[evidence.feasible], evidence.running]))
    improvement = HypervolumeImprovement(incumbents, reference)
    return lambda points: improvement.log_expected(*predict(points))


def _predictor(evidence: Evidence, index: int, fit: Fit) -> Predict:
    column = evidence.columns[index]
    if column is not None:
        return lambda points: (points[:, column], np.zeros(len(points)))
    if not len(evidence.unfinished):
        process = fit(evidence.observed, evidence.losses[:, index], evidence.groups)
        return process.believing(evidence.running).predict if len(evidence.running) else process.predict
    inputs = np.concatenate([_at_the_end(evidence.observed), np.c_[evidence.unfinished, evidence.remaining]])
    process = fit(inputs, np.r_[evidence.losses[:, index], evidence.extrapolated[:, index]], evidence.groups)
    if len(evidence.running):
        process = process.believing(_at_the_end(evidence.running))
    return lambda points: process.predict(_at_the_end(points))


def _at_the_end(points: Array) -> Array:
    return np.concatenate([points, np.zeros((len(points), 1))], axis=1)
