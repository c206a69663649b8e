import numpy as np
import pytest

from autopeft.surrogates.feasibility import log_feasibility

OBSERVED = np.linspace(0, 1, 12)[:, None]


def test_points_beyond_a_bound_are_unlikely_and_others_are_not() -> None:
    log_chance = log_feasibility(OBSERVED, 2 * OBSERVED - 1)
    low, middle, high = np.exp(log_chance(np.array([[0.1], [0.5], [0.9]])))
    assert low > 0.95
    assert high < 0.05
    assert 0.2 < middle < 0.8


def test_each_bound_counts() -> None:
    both = log_feasibility(OBSERVED, np.concatenate([2 * OBSERVED - 1, 1 - 4 * OBSERVED], axis=1))
    assert both(np.array([[0.37]]))[0] > max(both(np.array([[0.05], [0.95]])))


@pytest.mark.parametrize(
    "excess", [np.full((12, 1), -1.0), np.full((12, 1), np.nan), np.empty((12, 0)), np.r_[1.0, 1.0, np.full(10, np.nan)][:, None]]
)
def test_bounds_that_nothing_is_known_of_don_t_count(excess: np.ndarray) -> None:
    assert (log_feasibility(OBSERVED, excess)(OBSERVED) == 0).all()


def test_all_points_may_have_failed() -> None:
    assert np.isfinite(log_feasibility(OBSERVED, np.ones((12, 1)))(OBSERVED)).all()
