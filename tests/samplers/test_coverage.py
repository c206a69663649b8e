import numpy as np
import pytest
from numpy.typing import NDArray

from autopeft.samplers.coverage import most_even


def discrepancy(points: NDArray[np.float64]) -> float:
    """Squared centred L2 discrepancy, written out."""
    n, s = points.shape
    off = np.abs(points - 0.5)
    single = sum(np.prod(1 + one / 2 - one**2 / 2) for one in off)
    pairs = sum(
        np.prod(1 + off[i] / 2 + off[j] / 2 - np.abs(points[i] - points[j]) / 2) for i in range(n) for j in range(n)
    )  # fmt: skip
    return float((13 / 12) ** s - 2 / n * single + pairs / n**2)


@pytest.mark.parametrize("n", [0, 1, 7])
def test_the_choice_has_the_lowest_discrepancy_of_all(n: int) -> None:
    rng = np.random.default_rng(n)
    points, candidates = rng.random((n, 3)), rng.random((20, 3))
    each = [discrepancy(np.vstack([points, candidate])) for candidate in candidates]
    assert most_even(points, candidates) == int(np.argmin(each))


def test_a_grown_design_covers_every_quarter() -> None:
    rng = np.random.default_rng(0)
    points = np.empty((0, 4))
    for _ in range(16):
        candidates = rng.random((200, 4))
        points = np.vstack([points, candidates[most_even(points, candidates)]])
    for column in points.T:
        assert np.histogram(column, bins=4, range=(0, 1))[0].min() >= 2
