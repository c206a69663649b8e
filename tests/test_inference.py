import math

import pytest
from scipy import stats

from autopeft.inference import estimate, holm, welch


def test_an_interval_from_the_printed_table() -> None:
    found = estimate([1.0, 2.0, 3.0, 4.0, 5.0])
    assert found.mean == 3
    assert found.deviation == pytest.approx(math.sqrt(2.5))
    # Student's 97.5 % quantile with four degrees of freedom, as tables print it.
    assert (found.high - 3, 3 - found.low) == pytest.approx((2.776 * math.sqrt(2.5 / 5),) * 2, abs=1e-3)


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
