"""Numbers as a model learns them: against formulas, and whatever offset, scale and outliers they have."""

import numpy as np
import pytest

from autopeft.tasks.standardisation import Standardisation

NORMAL = np.random.default_rng(0).normal(size=400)
NUMBERS = {
    "scores": 2.5 + 1.5 * NORMAL,
    "offset": 1e7 + NORMAL,
    "timestamps": 1.7e9 + 1e6 * NORMAL,
    "prices": np.exp(1.5 * NORMAL),
    "tiny": 1e-300 * NORMAL,
    "huge": 1e150 * np.tanh(NORMAL),
    "two values": np.repeat([0.0, 1.0], [390, 10]),
    "two neighbours": np.array([1.0, np.nextafter(1.0, 2.0)] * 10),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_become_ones_of_mean_0_and_of_about_deviation_1_and_come_back(name: str) -> None:
    numbers = NUMBERS[name]
    found = Standardisation.over(numbers)
    z = found.standardise(numbers)
    assert 0.7 <= z.std() <= 1.42  # of the nearest power of two
    assert abs(z.mean()) < 0.01 or name == "two neighbours"  # no number lies between those
    np.testing.assert_allclose(found.undo(z), numbers, rtol=1e-12, atol=1e-12 * np.ptp(numbers))
    assert np.log2(found.scale) % 1 == 0
    assert Standardisation.of(found.to_settings()) == found


@pytest.mark.parametrize("outlier", [1e12, -1e12, 1e150])
def test_a_single_outlier_counts_as_an_edge_and_changes_nothing_else(outlier: float) -> None:
    usual, found = Standardisation.over(NUMBERS["scores"]), Standardisation.over(np.append(NUMBERS["scores"], outlier))
    assert (found.centre, found.scale) == pytest.approx((usual.centre, usual.scale))
    edge = found.highest if outlier > 0 else found.lowest
    assert edge is not None
    assert found.standardise(np.array([outlier])) == found.standardise(np.array([edge]))
    assert 20 < abs(found.standardise(np.array([outlier])).item()) < 60
    assert (found.lowest is None) == (outlier > 0)


def test_far_numbers_that_are_many_are_no_outliers() -> None:
    assert Standardisation.over(np.append(NUMBERS["scores"], [1e6] * 20)).highest is None
    assert Standardisation.over(np.append(np.full(50, 5.0), 6.0)).highest is None  # without a distance between quartiles nothing is far


FITTING = [("scores", True), ("prices", True), ("offset", False), ("timestamps", False), ("tiny", False)]


@pytest.mark.parametrize(("numbers", "fits"), FITTING)
def test_float32_holds_numbers_whose_offset_is_small_beside_their_scale(numbers: str, fits: bool) -> None:
    found = Standardisation.over(NUMBERS[numbers])
    assert found.fits_float32 == fits
    if fits:
        z = found.standardise(NUMBERS[numbers]).astype(np.float32)
        folded = np.float32(found.scale) * z + np.float32(found.centre)
        np.testing.assert_allclose(folded, NUMBERS[numbers], atol=1e-3 * found.scale)
