from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from autopeft.surrogates.local_search import local_search

Array = NDArray[np.float64]
WEIGHTS = np.array([3.0, -1.0, 2.0, -4.0, 0.5, 1.5])
EVERY = np.array(list(product((0.0, 1.0, 2.0), repeat=6)))


def score(points: Sequence[Array]) -> Array:
    points = np.array(points)
    values: Array = points @ WEIGHTS - 0.7 * (points[:, 0] - 1) ** 2 * points[:, 2] - (points[:, 4] * points[:, 5] - 2) ** 2
    return np.where((points > 0).sum(axis=1) > 4, -np.inf, values)  # some are forbidden


def neighbours(point: Array) -> list[Array]:
    moved = [point + step * np.eye(6)[i] for i in range(6) for step in (-1, 1)]
    return [one for one in moved if one.min() >= 0 and one.max() <= 2]


def test_it_finds_the_best_of_all_points() -> None:
    pool = EVERY[np.random.default_rng(0).choice(len(EVERY), 40, replace=False)]
    point, height = local_search(pool, score, neighbours)
    assert height == score(EVERY).max()
    assert score([point])[0] == height


def test_it_never_worsens_and_leaves_the_pool_alone() -> None:
    pool = EVERY[:5].copy()
    _, height = local_search(pool, score, neighbours, n_starts=2, n_rounds=1)
    assert height >= score(pool).max()
    assert (pool == EVERY[:5]).all()


def test_without_neighbours_the_best_of_the_pool_is_returned() -> None:
    point, height = local_search(EVERY, score, lambda point: [])
    assert height == score(EVERY).max() == score([point])[0]


def test_all_forbidden_says_so() -> None:
    _, height = local_search(EVERY[:3], lambda points: np.full(len(points), -np.inf), neighbours)
    assert height == -np.inf
