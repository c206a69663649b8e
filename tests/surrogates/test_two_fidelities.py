import numpy as np
import pytest

from autopeft.surrogates.two_fidelities import SHIFT_SPREAD, LowCost, TwoFidelities

NOISE = 0.05


def low(means: list[float], coordinates: list[list[float]] | None = None, deviation: float = 0.0) -> LowCost:
    found = np.array(means)
    return LowCost(found, np.full(len(found), deviation), np.array(coordinates or [[0.0, 0.0]] * len(found)))


NOTHING = LowCost(np.empty(0), np.empty(0), np.empty((0, 2)))


def test_without_a_measurement_it_is_the_low_cost_surrogate() -> None:
    points = low([0.1, 0.4, 0.9], deviation=0.2)
    mean, deviation = TwoFidelities.fit(NOTHING, np.empty(0), NOISE).predict(points)
    assert mean.tolist() == [0.1, 0.4, 0.9]
    assert deviation == pytest.approx(np.sqrt(0.2**2 + SHIFT_SPREAD**2 + NOISE**2))


def test_one_measurement_shifts_all_alike_and_keeps_their_order() -> None:
    model = TwoFidelities.fit(low([0.3]), np.array([0.1]), NOISE)
    mean, deviation = model.predict(low([0.1, 0.3, 0.5]))
    assert np.diff(mean) == pytest.approx(0.2, abs=1e-9)
    assert mean[1] == pytest.approx(0.1, abs=0.01)
    assert (deviation < 0.15).all()


def test_a_slope_is_learnt() -> None:
    at = np.linspace(0, 1, 6)
    mean, _ = TwoFidelities.fit(low(at.tolist()), 0.3 * at - 0.2, NOISE).predict(low([0.25, 0.75]))
    assert mean == pytest.approx([0.3 * 0.25 - 0.2, 0.3 * 0.75 - 0.2], abs=0.02)


def test_a_bias_that_follows_a_coordinate_is_learnt() -> None:
    rng = np.random.default_rng(0)
    means, z = rng.random(12), rng.random((12, 2))
    full = means - 0.3 * z[:, 0] + 0.01 * rng.normal(size=12)
    mean, deviation = TwoFidelities.fit(LowCost(means, np.zeros(12), z), full, NOISE).predict(low([0.5, 0.5], [[0.0, 0.5], [1.0, 0.5]]))
    assert mean[0] - mean[1] == pytest.approx(0.3, abs=0.1)
    assert np.abs(mean - [0.5, 0.2]).max() < 3 * deviation.max()


def test_what_is_being_measured_is_taken_to_come_out_as_expected() -> None:
    model = TwoFidelities.fit(low([0.3]), np.array([0.1]), NOISE)
    far = low([0.8], [[3.0, 3.0]])
    before, after = model.predict(far), model.fantasize(far).predict(far)
    assert after[0] == pytest.approx(before[0], abs=1e-6)
    assert after[1] < before[1]
    empty = TwoFidelities.fit(NOTHING, np.empty(0), NOISE)
    assert empty.fantasize(NOTHING) is empty
    assert empty.fantasize(far).predict(far)[1] < empty.predict(far)[1]


def test_a_point_that_low_cost_tells_little_of_counts_for_little() -> None:
    """A trial of which the low-cost surrogate is uncertain may be anything at the full budget, and moves the others less."""
    sure, unsure = (TwoFidelities.fit(low([0.3], deviation=sd), np.array([0.1]), NOISE).predict(low([0.5]))[0] for sd in (0.0, 1.0))
    assert 0.5 - unsure < 0.5 * (0.5 - sure)
