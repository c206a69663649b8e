import math

import numpy as np
import pytest
from scipy import stats

from autopeft.inference import estimate, holm, variance_over_rows, welch

TRUTH = float(np.clip(np.random.default_rng(1).normal(0.8, math.hypot(0.15, 0.01), size=1_000_000), 0, 1).mean())
"""The share of right answers over all rows and seeds that `test_most_intervals_hold_the_truth` draws from, nearly."""


def test_an_interval_from_the_printed_table() -> None:
    found = estimate([1.0, 2.0, 3.0, 4.0, 5.0])
    assert found.mean == 3
    assert found.deviation == pytest.approx(math.sqrt(2.5))
    # Student's 97.5 % quantile with four degrees of freedom, as tables print it.
    assert (found.high - 3, 3 - found.low) == pytest.approx((2.776 * math.sqrt(2.5 / 5),) * 2, abs=1e-3)


def test_other_rows_are_part_of_the_interval() -> None:
    """Two seeds, three draws of rows: s^2 / S = 0.0002 / 2, r^2 of the means 0.7, 0.8, 0.9 is 0.01."""
    found = estimate([0.79, 0.81], resampled=[[0.7, 0.8, 0.9], [0.7, 0.8, 0.9]], n_rows=40)
    variance = 0.0001 + 0.01
    reach = stats.t.ppf(0.975, variance**2 / 0.0001**2) * math.sqrt(variance)
    assert (found.low, found.high) == pytest.approx((0.8 - reach, 0.8 + reach))
    assert found.has_few_seeds


def test_an_interval_keeps_to_the_metric_s_range_and_is_never_of_width_zero() -> None:
    equal = estimate([0.625, 0.625], n_rows=40, bounds=(0.0, 1.0))
    share = 27 / 44  # 25 of 40 right, and two more of each
    reach = stats.norm.ppf(0.975) * math.sqrt(share * (1 - share) / 44)
    assert (equal.low, equal.high) == pytest.approx((0.625 - reach, 0.625 + reach))
    perfect = estimate([1.0, 1.0, 1.0], resampled=[[1.0] * 5] * 3, n_rows=40, bounds=(0.0, 1.0))
    assert perfect.high == 1.0
    assert 0.85 < perfect.low < 0.95
    wide = estimate([0.1, 0.9], n_rows=40, bounds=(0.0, 1.0))
    assert (wide.low, wide.high) == (0.0, 1.0)


def test_an_error_rate_that_no_draw_changes_has_an_interval() -> None:
    found = [estimate([value] * 3, resampled=[[value] * 9] * 3, n_rows=24, bounds=(0.0, math.inf)) for value in (0.0, 1.0, 2.0)]
    assert all(one.high - one.low > 0.05 for one in found)
    assert found[0].low == 0.0


def test_one_seed_has_the_interval_of_its_rows() -> None:
    found = estimate([0.8], resampled=[[0.7, 0.8, 0.9]], n_rows=40, bounds=(0.0, 1.0))
    assert (found.low, found.high) == pytest.approx((0.8 - stats.norm.ppf(0.975) * 0.1, 0.8 + stats.norm.ppf(0.975) * 0.1))
    assert math.isnan(found.deviation)


def test_most_intervals_hold_the_truth() -> None:
    """Of 200 draws of 3 seeds and 200 rows whose right answers are known: counted by another route than the interval is made."""
    rng, held = np.random.default_rng(0), 0
    for _ in range(200):
        chances = np.clip(rng.normal(0.8, 0.15, size=200) + rng.normal(0, 0.01, size=(3, 1)), 0, 1)
        right = rng.random((3, 200)) < chances
        rows = rng.integers(200, size=(100, 200))
        found = estimate(right.mean(axis=1).tolist(), resampled=right[:, rows].mean(axis=2).tolist(), n_rows=200, bounds=(0.0, 1.0))
        held += found.low <= TRUTH <= found.high
    assert 184 <= held <= 200


def test_rows_say_nothing_of_a_metric_that_keeps_to_no_known_bounds() -> None:
    assert variance_over_rows(0.5, 100, (0.0, 1.0)) == pytest.approx(0.25 / 104)
    assert variance_over_rows(3.5, 100, (0.0, 1.0)) == 0.0
    assert variance_over_rows(3.5, 100, (0.0, math.inf)) == 0.0


def test_one_value_has_no_spread() -> None:
    found = estimate([0.5])
    assert found.mean == 0.5
    assert all(map(math.isnan, (found.deviation, found.low, found.high)))


def test_welch_by_its_formula() -> None:
    one, other = [0.80, 0.82, 0.81, 0.79], [0.75, 0.80, 0.70]
    v1, v2 = stats.tvar(one) / 4, stats.tvar(other) / 3
    t = (0.805 - 0.75) / math.sqrt(v1 + v2)
    degrees = (v1 + v2) ** 2 / (v1**2 / 3 + v2**2 / 2)
    assert welch(one, other) == pytest.approx(2 * stats.t.sf(t, degrees))
    assert welch(other, one) == pytest.approx(welch(one, other))


def test_one_side_may_have_no_variance() -> None:
    one = [0.7278, 0.7194]
    t = (sum(one) / 2 - 0.6835) / math.sqrt(stats.tvar(one) / 2)
    assert welch(one, [0.6835, 0.6835]) == pytest.approx(2 * stats.t.sf(t, 1))


@pytest.mark.parametrize(("one", "other"), [([0.5], [0.1, 0.2]), ([0.5, 0.5], [0.7, 0.7])], ids=["one value", "no variance"])
def test_what_cannot_be_tested_is_nan(one: list[float], other: list[float]) -> None:
    assert math.isnan(welch(one, other))


def test_holm_by_hand() -> None:
    # 4 x 0.005; 3 x 0.01; 2 x 0.03; 0.04 would fall below the 0.06 before it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    corrected = holm([0.01, math.nan, 0.02])
    assert corrected[0] == corrected[2] == pytest.approx(0.02)
    assert math.isnan(corrected[1])
