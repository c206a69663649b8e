"""Maximises a score over points that have neighbours: steepest ascent from the best of a pool, all starts abreast.

Every round scores the neighbours of all starts in one call, because a surrogate predicts a thousand points almost as fast as one.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def climb(
    pool: Array, score: Callable[[Array], Array], neighbours: Callable[[Array], Array], n_starts: int = 10, n_rounds: int = 12
) -> tuple[Array, float]:
    """Return the best point found, and its score.

    Args:
        pool: n x p, points to start from.
        score: Scores of n points; minus infinity for those that must not be proposed.
        neighbours: The points, k x p, one step away from a point; k may be 0.
        n_starts: How many of the pool's best climb.
        n_rounds: Steps that each may take.
    """
    scores = score(pool)
    best = np.argsort(-scores, kind="stable")[:n_starts]
    starts, heights = pool[best].copy(), scores[best]
    climbing = list(range(len(starts)))
    for _ in range(n_rounds):
        around = [neighbours(starts[i]) for i in climbing]
        if not sum(map(len, around)):
            break
        edges = np.cumsum([len(one) for one in around])[:-1]
        found = np.split(score(np.concatenate(around)), edges)
        climbing = [i for i, *step in zip(climbing, around, found, strict=True) if _step(starts, heights, i, *step)]
    top = int(np.argmax(heights))
    return starts[top], float(heights[top])


def _step(starts: Array, heights: Array, i: int, points: Array, values: Array) -> bool:
    """Move start i to its best neighbour if that is higher; return whether it moved."""
    if not len(values) or not values.max() > heights[i]:
        return False
    starts[i], heights[i] = points[int(np.argmax(values))], values.max()
    return True
