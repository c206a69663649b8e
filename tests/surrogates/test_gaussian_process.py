import numpy as np
import pytest
import torch

from autopeft.surrogates.gaussian_process import GaussianProcess

RNG = np.random.default_rng(0)
INPUTS = RNG.random((30, 4))
LOSSES = 100 + 5 * np.sin(3 * INPUTS[:, 0]) + INPUTS[:, 1] ** 2
NEW = RNG.random((50, 4))


def test_prediction_is_botorchs() -> None:
    process = GaussianProcess.fit(INPUTS, LOSSES)
    with torch.no_grad():
        theirs = process.model.posterior(torch.as_tensor(NEW))
    mean, deviation = process.predict(NEW)
    assert mean == pytest.approx(theirs.mean[:, 0].numpy() * LOSSES.std() + LOSSES.mean(), rel=1e-6)
    assert deviation == pytest.approx(theirs.variance[:, 0].sqrt().numpy() * LOSSES.std(), rel=1e-3)


def test_it_learns_a_smooth_function() -> None:
    mean, deviation = GaussianProcess.fit(INPUTS, LOSSES).predict(NEW)
    truth = 100 + 5 * np.sin(3 * NEW[:, 0]) + NEW[:, 1] ** 2
    assert np.abs(mean - truth).mean() < 0.1 * LOSSES.std()
    assert (deviation > 0).all()


def test_believing_keeps_the_mean_and_takes_variance_nearby() -> None:
    process = GaussianProcess.fit(INPUTS[:8], LOSSES[:8])
    believing = process.believing(NEW[:2])
    assert believing.predict(NEW)[0] == pytest.approx(process.predict(NEW)[0], rel=1e-6)
    assert (believing.predict(NEW)[1] <= process.predict(NEW)[1] + 1e-9).all()
    assert (believing.predict(NEW[:2])[1] < 0.8 * process.predict(NEW[:2])[1]).all()


@pytest.mark.parametrize("losses", [[1.0], [2.0, 2.0, 2.0], [1e300, -1e300, 0.0], [1.0, 1.0 + 1e-15]], ids=str)
def test_degenerate_losses_still_give_a_prediction(losses: list[float]) -> None:
    mean, deviation = GaussianProcess.fit(INPUTS[: len(losses)], np.array(losses)).predict(NEW)
    assert np.isfinite(mean).all()
    assert np.isfinite(deviation).all()


def test_repeated_inputs_are_no_trouble() -> None:
    mean, _ = GaussianProcess.fit(np.repeat(INPUTS[:3], 10, axis=0), LOSSES).predict(NEW)
    assert np.isfinite(mean).all()
