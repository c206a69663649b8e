"""The next point of an initial design: the one that leaves the points so far most evenly spread.

Legend:
    n, N   points so far, candidates
    s      coordinates that should be covered, in [0, 1]
    X      n x s, points so far
    x      a candidate; x' = |x - 1/2|

The spread is the centred L2 discrepancy (Hickernell, 1998, equation 5.1c). Of the discrepancy of X with x added, this depends on x:

    - 2 / (n + 1) prod_j (1 + x'_j / 2 - x'_j^2 / 2)
    + 1 / (n + 1)^2 (2 sum_i prod_j (1 + X'_ij / 2 + x'_j / 2 - |X_ij - x_j| / 2) + prod_j (1 + x'_j))

It fills every coordinate and every pair of them, and unlike a largest smallest distance it doesn't rush to the corners. A design that
grows point by point from the record takes in points that were given, and needs no state.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def most_even(points: Array, candidates: Array) -> int:
    """Return the index of the candidate, out of N x s, that leaves the n x s points most evenly spread."""
    n = len(points) + 1
    off = np.abs(candidates - 0.5)
    result = -2.0 / n * np.prod(1 + off / 2 - off**2 / 2, axis=1) + np.prod(1 + off, axis=1) / n**2
    if len(points):
        apart = np.abs(candidates[:, None] - points[None])
        pairs = np.prod(1 + np.abs(points - 0.5)[None] / 2 + off[:, None] / 2 - apart / 2, axis=2)
        result = result + 2.0 / n**2 * pairs.sum(axis=1)
    return int(np.argmin(result))
