"""An order over points of several objectives, best first (MO-ASHA's, Schmucker et al. 2021, arXiv 2106.12639)."""

import numpy as np
from numpy.typing import NDArray

from autopeft.pareto import non_dominated

Array = NDArray[np.float64]


def best_first(losses: Array) -> list[int]:
    """Return the indices of n points from the best to the worst.

    Fronts come one after another: those that nothing dominates, those that only the first front dominates, and so on. Within a front
    each point is as far as can be from those before it (an epsilon-net, section 3.2), so that the first few cover the whole trade-off;
    the front's best point in the first objective leads. Distances are between ranks, which no scale distorts.

    Args:
        losses: n x m, smaller is better; a point with a NaN comes last.
    """
    losses = np.asarray(losses, dtype=np.float64)
    ranks = np.stack([_ranks(column) for column in losses.T], axis=1)
    order: list[int] = []
    left = np.arange(len(losses))
    while len(left):
        front = left[non_dominated(losses[left])]
        if not len(front):
            return order + left.tolist()
        order += _spread(front, ranks)
        left = np.setdiff1d(left, front)
    return order


def _spread(front: NDArray[np.intp], ranks: Array) -> list[int]:
    chosen = [int(front[np.argmin(ranks[front, 0])])]
    while len(chosen) < len(front):
        gaps = np.abs(ranks[front][:, None] - ranks[chosen][None]).sum(axis=2).min(axis=1)
        gaps[np.isin(front, chosen)] = -1.0
        chosen.append(int(front[np.argmax(gaps)]))
    return chosen


def _ranks(column: Array) -> Array:
    """Return how many values are smaller than each; equal values rank alike."""
    return np.searchsorted(np.sort(column), column).astype(np.float64)
