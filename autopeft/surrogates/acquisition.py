"""What a point promises, given what was observed and what still runs: one score for any number of losses, known or measured.

Legend:
    n, N, q   observed points, points to score, points still running
    d, m      coordinates, losses
    Z         n x d, observed points
    Y         n x m, observed losses; a column of a known loss is not read
    r         m, reference point

A known loss is one of the coordinates. One measured loss: log EI. Two losses, at least one known: the exact log EHVI. Else qLogNEHVI.
The first two improve on the surrogate's means at Z and at running points, not on Y: a lucky measurement is no incumbent.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from linear_operator.utils.errors import NanError, NotPSDError  # type: ignore[import-untyped]
from numpy.typing import NDArray

from autopeft.surrogates.exact_improvement import log_expected_hypervolume_improvement, log_expected_improvement
from autopeft.surrogates.gaussian_process import GaussianProcess
from autopeft.surrogates.sampled_improvement import sampled_score

Array = NDArray[np.float64]
Score = Callable[[Array], Array]

NUMERICAL_ERRORS = (torch.linalg.LinAlgError, NanError, NotPSDError)  # type: ignore[attr-defined]
"""What a matrix too near to singular raises."""
CERTAIN = 1e-9
"""Standard deviation that stands for none."""


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

    @property
    def seen(self) -> Array:
        """(n + q) x d: observed points, then running ones."""
        return np.concatenate([self.observed, self.running])


def acquisition(evidence: Evidence, reference: Array, seed: int) -> Score:
    """Return the function that scores N x d points; larger is better.

    Args:
        evidence: What is known so far; at least one observed point.
        reference: r.
        seed: Seeds what is sampled.
    """
    columns = evidence.columns
    models = [_fit(evidence, i) if column is None else column for i, column in enumerate(columns)]
    if len(models) == 1:
        return _single(models[0], evidence)
    if len(models) == 2 and any(column is not None for column in columns):
        return _pair(models, evidence, reference)
    return sampled_score(models, evidence.observed, evidence.running, reference, seed)


def _fit(evidence: Evidence, index: int) -> GaussianProcess:
    return GaussianProcess.fit(evidence.observed, evidence.losses[:, index])


def _single(model: GaussianProcess | int, evidence: Evidence) -> Score:
    if isinstance(model, int):
        return lambda points: -points[:, model]
    believing = model.believing(evidence.running)
    best = np.array(believing.predict(evidence.seen)[0].min())
    return lambda points: log_expected_improvement(*believing.predict(points), best)


def _pair(models: Sequence[GaussianProcess | int], evidence: Evidence, reference: Array) -> Score:
    first = next(i for i, model in enumerate(models) if isinstance(model, int))
    known, other = models[first], models[1 - first]
    assert isinstance(known, int)
    predict = other.believing(evidence.running).predict if isinstance(other, GaussianProcess) else _certain(other)
    front = np.stack([evidence.seen[:, known], predict(evidence.seen)[0]], axis=1)
    ordered = reference[[first, 1 - first]]
    return lambda points: log_expected_hypervolume_improvement(points[:, known], *predict(points), front, ordered)


def _certain(column: int) -> Callable[[Array], tuple[Array, Array]]:
    return lambda points: (points[:, column], np.full(len(points), CERTAIN))
