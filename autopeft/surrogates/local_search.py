"""Maximises a score over points that have neighbours: steepest ascent from the best of a pool, all starts abreast.

Every round scores the neighbours of all starts in one call, because a surrogate predicts a thousand points almost as fast as one.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Point = TypeVar("Point")


def local_search(
    pool: Sequence[Point],
    score: Callable[[Sequence[Point]], Array],
    neighbours: Callable[[Point], Sequence[Point]],
    n_starts: int = 10,
    n_rounds: int = 12,
) -> tuple[Point, float]:
    """Return the best point found, and its score.

    Args:
        pool: The n points to start from, at least one.
        score: Scores of n points; minus infinity for those that must not be proposed.
        neighbours: The points one step away from a point; there may be none.
        n_starts: How many of the pool's best are starts.
        n_rounds: Steps that each may take.
    """
    scores = score(pool)
    best = np.argsort(-scores, kind="stable")[:n_starts]
    starts, heights = [pool[i] for i in best], scores[best]
    moving = list(range(len(starts)))
    for _ in range(n_rounds):
        around = [neighbours(starts[i]) for i in moving]
        if not sum(map(len, around)):
            break
        edges = np.cumsum([len(some) for some in around])[:-1]
        found = np.split(score([point for some in around for point in some]), edges)
        moved = []
        for i, points, values in zip(moving, around, found, strict=True):
            if len(points) and values.max() > heights[i]:
                starts[i], heights[i] = points[int(np.argmax(values))], values.max()
                moved.append(i)
        moving = moved
    top = int(np.argmax(heights))
    return starts[top], float(heights[top])
