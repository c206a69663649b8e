"""What a point promises, given what was observed and what still runs: the log expected hypervolume improvement.

Legend:
    n, N, q   observations, points to score, points still running
    d, m      coordinates, losses
    r         m, reference point

An exact loss is one of the coordinates, and has no variance; every other has a surrogate of its own. Points improve on the surrogates'
means at what was observed and at running points, not on what was measured there: a measurement that its noise favoured is no incumbent.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from autopeft.surrogates.exact_improvement import HypervolumeImprovement
from autopeft.surrogates.gaussian_process import GaussianProcess
from autopeft.surrogates.observations import Observations

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Predict = Callable[[Array], tuple[Array, Array]]


class Surrogate(Protocol):
    """A fitted model of one loss."""

    def predict(self, points: Array) -> tuple[Array, Array]:
        """Return means and standard deviations at N x d points."""

    def fantasize(self, points: Array) -> Self:
        """Return the model after seeing what it expects at points still running."""


Fit = Callable[[Array, Array, Sequence[Sequence[int]]], Surrogate]
"""Makes a surrogate from n x d points, their n losses, and the coordinates that are flags of one kind."""


@dataclass(frozen=True)
class AcquisitionInputs:
    """What a score follows from."""

    observations: Observations
    incumbents: Mask
    """n: the observations that a point must improve on: complete ones that keep to all bounds. The others teach what to expect."""
    running: Array
    """q x d."""
    exact: tuple[int | None, ...]
    """For each loss the coordinate that it is, or None if it is measured."""
    groups: tuple[tuple[int, ...], ...] = ()
    """Coordinates that are flags of one kind (see `kernel`)."""


def acquisition(inputs: AcquisitionInputs, reference: Array, fit: Fit = GaussianProcess.fit) -> Callable[[Array], Array]:
    """Return the function that scores N x d points; larger is better.

    Args:
        inputs: What is known so far; at least one complete observation.
        reference: r.
        fit: Makes the surrogate of a measured loss.
    """
    predictors = [_predictor(inputs, index, fit) for index in range(len(inputs.exact))]

    def predict(points: Array) -> tuple[Array, Array]:
        each = [predictor(points) for predictor in predictors]
        return np.stack([mean for mean, _ in each], axis=1), np.stack([deviation for _, deviation in each], axis=1)

    incumbents, _ = predict(np.concatenate([inputs.observations.points[inputs.incumbents], inputs.running]))
    improvement = HypervolumeImprovement(incumbents, reference)
    return lambda points: improvement.log_expected(*predict(points))


def _predictor(inputs: AcquisitionInputs, index: int, fit: Fit) -> Predict:
    column, seen = inputs.exact[index], inputs.observations
    if column is not None:
        return lambda points: (points[:, column], np.zeros(len(points)))
    surrogate = fit(seen.inputs(), seen.values[:, index], inputs.groups)
    if len(inputs.running):
        surrogate = surrogate.fantasize(seen.at_full_fidelity(inputs.running))
    return lambda points: surrogate.predict(seen.at_full_fidelity(points))
