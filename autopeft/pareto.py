"""Pareto fronts over losses (smaller is better on every axis).

Legend: n points, m objectives; `points` is n x m; the reference point is worse than every point that should count.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

N_AT_ONCE = 1000
"""Points that are compared pairwise; a thousand take some megabytes."""


def non_dominated(points: Array) -> NDArray[np.bool_]:
    """Return which of the n points no other point dominates.

    A point dominates another if it is no worse everywhere and better somewhere; equal points don't dominate each other. A point
    that holds a NaN is never on the front and dominates nothing.
    """
    points = np.asarray(points, dtype=np.float64)
    if len(points) > N_AT_ONCE:
        # What its own part dominates is dominated: the parts' fronts are all that need be compared.
        parts = range(0, len(points), N_AT_ONCE)
        left = np.concatenate([first + np.flatnonzero(non_dominated(points[first : first + N_AT_ONCE])) for first in parts])
        if len(left) < len(points):
            result = np.zeros(len(points), dtype=np.bool_)
            result[left[non_dominated(points[left])]] = True
            return result
    valid: NDArray[np.bool_] = ~np.any(np.isnan(points), axis=1)
    no_worse = np.all(points[:, None, :] <= points[None, :, :], axis=2)
    better = np.any(points[:, None, :] < points[None, :, :], axis=2)
    dominated = np.any(no_worse & better & valid[:, None], axis=0)
    return np.logical_and(valid, np.logical_not(dominated))


def hypervolume(points: Array, reference: Array) -> float:
    """Return the volume that the points dominate up to the reference point.

    Slices along the last axis and recurses (Fonseca, Paquete, Lopez-Ibanez, 2006, without the bookkeeping): exact for any m, meant
    for fronts of up to a few hundred points and m up to 4.
    """
    points = np.asarray(points, dtype=np.float64)
    reference = np.asarray(reference, dtype=np.float64)
    points = points[(points < reference).all(axis=1)]
    if not len(points):
        return 0.0
    points = np.unique(points[non_dominated(points)], axis=0)
    if points.shape[1] == 1:
        return float(reference[0] - points[0, 0])
    order = points[np.argsort(points[:, -1], kind="stable")]
    edges = np.append(order[:, -1], reference[-1])
    heights = np.diff(edges)
    return float(sum(height * hypervolume(order[: i + 1, :-1], reference[:-1]) for i, height in enumerate(heights) if height > 0))


def knee(points: Array) -> int:
    """Return the index of the front point farthest below the line (plane) through the front's extremes.

    Each axis is scaled to [0, 1] over the front first, so the distance is monotone in the sum of the scaled losses (Das, 1999). Costs are
    to be given as logarithms, see `autopeft.objectives.comparable_losses`.

    Raises:
        ValueError: No point is on the front.
    """
    front = np.flatnonzero(non_dominated(points))
    if not len(front):
        raise ValueError("the knee of an empty front is undefined")
    values = np.asarray(points, dtype=np.float64)[front]
    span = np.ptp(values, axis=0)
    scaled = (values - values.min(axis=0)) / np.where(span > 0, span, 1.0)
    return int(front[np.argmin(scaled.sum(axis=1))])
