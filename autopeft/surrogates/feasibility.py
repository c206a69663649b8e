"""How likely a point is to keep to bounds on what is measured.

Legend:
    n, N, c   observed points, points to score, bounds
    Z         n x d, observed points
    E         n x c, by how much each exceeded each bound (at most 0: kept to), NaN where that was not measured

A surrogate for each bound; bounds are taken to be independent (Gardner et al., 2014, proceedings.mlr.press/v32/gardner14.html):

    log P(point is feasible) = sum over bounds of log Phi(-mean / deviation)
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from autopeft.surrogates.gaussian_process import GaussianProcess

Array = NDArray[np.float64]

MIN_OBSERVED = 3
"""Fewer measurements of a bound than this can't tell a surrogate anything."""


def log_feasibility(observed: Array, excess: Array, groups: Sequence[Sequence[int]] = ()) -> Callable[[Array], Array]:
    """Return the function that gives N x d points the logarithm of the chance that they keep to all bounds.

    Args:
        observed: Z.
        excess: E. A bound that no point has exceeded is none yet.
        groups: Coordinates that are flags of one kind (see `kernel`).
    """
    processes = []
    for column in excess.T:
        measured = np.isfinite(column)
        if measured.sum() >= MIN_OBSERVED and (column[measured] > 0).any():
            processes.append(GaussianProcess.fit(observed[measured], column[measured], groups))

    def log_chance(points: Array) -> Array:
        result = np.zeros(len(points))
        for process in processes:
            mean, deviation = process.predict(points)
            result += torch.special.log_ndtr(torch.as_tensor(-mean / np.maximum(deviation, 1e-12))).numpy()
        return result

    return log_chance
