import numpy as np
import pytest

from autopeft.surrogates.acquisition import AcquisitionInputs, acquisition
from autopeft.surrogates.observations import Observations

RNG = np.random.default_rng(1)
OBSERVED = RNG.random((20, 3))
"""The last coordinate is an exact loss."""
MEASURED = (OBSERVED[:, 0] - 0.3) ** 2 - 0.2 * OBSERVED[:, 2]
CANDIDATES = RNG.random((200, 3))
NONE = np.empty((0, 3))


def finished(points: np.ndarray, losses: np.ndarray) -> Observations:
    return Observations(points, losses, np.ones((len(points), 1)))


def inputs(exact: tuple[int | None, ...], running: np.ndarray = NONE) -> AcquisitionInputs:
    losses = np.stack([MEASURED, OBSERVED[:, 2], OBSERVED[:, 1]], axis=1)[:, : len(exact)]
    return AcquisitionInputs(finished(OBSERVED, losses), np.ones(20, dtype=bool), running, exact)


@pytest.mark.parametrize("columns", [(None,), (2,), (None, 2), (1, 2), (None, None), (None, 2, None), (1, 2, 0)], ids=str)
def test_every_mix_of_exact_and_measured_losses_is_scored(columns: tuple[int | None, ...]) -> None:
    score = acquisition(inputs(columns), np.full(len(columns), 1.5))
    assert score(CANDIDATES).shape == (200,)
    assert np.isfinite(score(CANDIDATES)).any()


@pytest.mark.parametrize("columns", [(None,), (None, 2), (None, None)], ids=str)
def test_what_already_runs_is_worth_less(columns: tuple[int | None, ...]) -> None:
    reference = np.full(len(columns), 1.5)
    alone = acquisition(inputs(columns), reference)
    best = CANDIDATES[[int(np.argmax(alone(CANDIDATES)))]]
    assert acquisition(inputs(columns, running=best), reference)(best)[0] < alone(best)[0]


def test_a_lucky_measurement_is_no_incumbent() -> None:
    repeated = np.repeat(OBSERVED[:2], 15, axis=0)
    losses = np.random.default_rng(0).normal([[0.0], [3.0]], 1.0, size=(2, 15)).reshape(30, 1)
    score = acquisition(AcquisitionInputs(finished(repeated, losses), np.ones(30, dtype=bool), NONE, (None,)), np.array([5.0]))
    # The lowest of fifteen noisy values lies far below their mean; the mean is what has to be beaten, and it can be.
    assert score(OBSERVED[:1])[0] > -4


def test_what_was_measured_early_teaches_at_any_number_of_fidelities() -> None:
    early, reference = np.array([[0.9, 0.5, 0.5]]), np.array([1.5])
    incumbents = np.arange(7) < 6

    def score(loss: float, *fidelities: float) -> float:
        shares = np.ones((7, len(fidelities)))
        shares[6] = fidelities
        seen = Observations(np.concatenate([OBSERVED[:6], early]), np.r_[MEASURED[:6], loss][:, None], shares)
        return float(acquisition(AcquisitionInputs(seen, incumbents, NONE, (None,)), reference)(early)[0])

    low, high = MEASURED[:6].min() - 0.1, MEASURED[:6].max()
    assert score(low, 0.8) > score(high, 0.8)
    assert score(low, 0.8, 0.5) > score(high, 0.8, 0.5)
    # A fidelity of which all have the whole changes nothing.
    assert score(low, 0.8, 1.0) == score(low, 0.8)
    assert score(low, 0.8) != score(low, 0.2) != score(low, 0.2, 0.5)


def test_what_was_measured_early_is_no_incumbent() -> None:
    seen = Observations(OBSERVED, MEASURED[:, None], np.where(np.arange(20) < 10, 1.0, 0.5)[:, None])
    assert seen.complete.tolist() == [True] * 10 + [False] * 10
    assert seen.inputs().shape == (20, 4)
    assert seen.inputs()[:, 3].tolist() == [0.0] * 10 + [0.5] * 10
    assert seen.at_full_fidelity(CANDIDATES)[:, 3].max() == 0.0
    assert finished(OBSERVED, MEASURED[:, None]).inputs().shape == (20, 3)
