from dataclasses import replace

import numpy as np
import pytest

from autopeft.surrogates.acquisition import Evidence, acquisition

RNG = np.random.default_rng(1)
OBSERVED = RNG.random((20, 3))
"""The last coordinate is a known loss."""
MEASURED = (OBSERVED[:, 0] - 0.3) ** 2 - 0.2 * OBSERVED[:, 2]
CANDIDATES = RNG.random((200, 3))
NONE = np.empty((0, 3))


def evidence(columns: tuple[int | None, ...], running: np.ndarray = NONE) -> Evidence:
    losses = np.stack([MEASURED, OBSERVED[:, 2], OBSERVED[:, 1]], axis=1)[:, : len(columns)]
    return Evidence(OBSERVED, losses, running, columns, np.ones(20, dtype=bool), NONE, np.empty((0, len(columns))), np.empty(0))


@pytest.mark.parametrize("columns", [(None,), (2,), (None, 2), (1, 2), (None, None), (None, 2, None), (1, 2, 0)], ids=str)
def test_every_mix_of_known_and_measured_losses_is_scored(columns: tuple[int | None, ...]) -> None:
    score = acquisition(evidence(columns), np.full(len(columns), 1.5))
    assert score(CANDIDATES).shape == (200,)
    assert np.isfinite(score(CANDIDATES)).any()


@pytest.mark.parametrize("columns", [(None,), (None, 2), (None, None)], ids=str)
def test_what_already_runs_is_worth_less(columns: tuple[int | None, ...]) -> None:
    reference = np.full(len(columns), 1.5)
    alone = acquisition(evidence(columns), reference)
    best = CANDIDATES[[int(np.argmax(alone(CANDIDATES)))]]
    assert acquisition(evidence(columns, running=best), reference)(best)[0] < alone(best)[0]


def test_a_lucky_measurement_is_no_incumbent() -> None:
    repeated = np.repeat(OBSERVED[:2], 15, axis=0)
    losses = np.random.default_rng(0).normal([[0.0], [3.0]], 1.0, size=(2, 15)).reshape(30, 1)
    finished = Evidence(repeated, losses, NONE, (None,), np.ones(30, dtype=bool), NONE, np.empty((0, 1)), np.empty(0))
    score = acquisition(finished, np.array([5.0]))
    # The lowest of fifteen noisy values lies far below their mean; the mean is what has to be beaten, and it can be.
    assert score(OBSERVED[:1])[0] > -4


def test_what_was_measured_early_teaches() -> None:
    few = slice(0, 6)
    finished = Evidence(OBSERVED[few], MEASURED[few, None], NONE, (None,), np.ones(6, dtype=bool), NONE, np.empty((0, 1)), np.empty(0))
    unfinished, reference = np.array([[0.9, 0.5, 0.5]]), np.array([1.5])
    better, worse = (
        acquisition(replace(finished, unfinished=unfinished, extrapolated=np.array([[loss]]), remaining=np.array([0.2])), reference)
        for loss in (MEASURED[few].min() - 0.1, MEASURED[few].max())
    )
    assert better(unfinished)[0] > worse(unfinished)[0]
