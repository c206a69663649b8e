from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from gpytorch.constraints import Positive
from gpytorch.distributions import MultivariateNormal as Distribution
from gpytorch.kernels import MaternKernel
from gpytorch.likelihoods import GaussianLikelihood
from gpytorch.means import ConstantMean
from gpytorch.models import ExactGP
from torch.distributions import LogNormal, MultivariateNormal

from autopeft.surrogates.gaussian_process import GaussianProcess
from autopeft.surrogates.hyper_posterior import MIN_NOISE, NOISE

RNG = np.random.default_rng(0)
INPUTS = RNG.random((30, 4))
LOSSES = 100 + 5 * np.sin(3 * INPUTS[:, 0]) + INPUTS[:, 1] ** 2
NEW = RNG.random((50, 4))


class SameProcess(ExactGP):
    """The same model, in a library's words."""

    def __init__(self, inputs: torch.Tensor, targets: torch.Tensor, likelihood: GaussianLikelihood) -> None:
        super().__init__(inputs, targets, likelihood)
        self.mean_module, self.covar_module = ConstantMean(), MaternKernel(nu=2.5, ard_num_dims=inputs.shape[1])

    def forward(self, points: torch.Tensor) -> Any:
        return Distribution(self.mean_module(points), self.covar_module(points))


def test_prediction_is_gpytorchs() -> None:
    process = GaussianProcess.fit(INPUTS, LOSSES)
    scaled = torch.as_tensor((LOSSES - LOSSES.mean()) / LOSSES.std())
    likelihood = GaussianLikelihood(noise_constraint=Positive()).double()
    likelihood.noise = process.hyper["noise"]
    theirs = SameProcess(torch.as_tensor(INPUTS), scaled, likelihood).double().eval()
    theirs.covar_module.lengthscale = process.hyper["lengths"]
    theirs.mean_module.constant = process.hyper["mean"]
    with torch.no_grad():
        expected = theirs(torch.as_tensor(NEW))
    mean, deviation = process.predict(NEW)
    assert mean == pytest.approx(expected.mean.numpy() * LOSSES.std() + LOSSES.mean(), rel=1e-6)
    assert deviation == pytest.approx(expected.variance.sqrt().numpy() * LOSSES.std(), rel=1e-3)


def test_what_the_others_foretell_of_a_measurement_is_predicted_without_it() -> None:
    process = GaussianProcess.fit(INPUTS, LOSSES)
    mean, deviation = process.leave_one_out()
    for left_out in (0, 7, 29):
        kept = np.arange(30) != left_out
        without = replace(process, inputs=process.inputs[kept], targets=process.targets[kept])
        expected, spread = without.predict(INPUTS[[left_out]])
        assert mean[left_out] == pytest.approx(expected[0])
        assert deviation[left_out] == pytest.approx(np.hypot(spread[0], process.noise_deviation))


def test_the_fit_is_a_maximum_of_the_posterior() -> None:
    process = GaussianProcess.fit(INPUTS, LOSSES)

    def log_posterior(hyper: dict[str, torch.Tensor]) -> float:
        density = MultivariateNormal(
            hyper["mean"].expand(30), process.kernel(process.inputs, process.inputs, hyper) + hyper["noise"] * torch.eye(30).double()
        ).log_prob(process.targets)
        lengths, noise = process.kernel.priors[0], NOISE
        prior = LogNormal(lengths.centre, lengths.spread).log_prob(hyper["lengths"]).sum()
        return float(density + prior + LogNormal(noise.centre, noise.spread).log_prob(hyper["noise"] - MIN_NOISE).sum())

    best = log_posterior(dict(process.hyper))
    for name, values in process.hyper.items():
        for factor in (0.8, 1.25):
            moved = (
                values + (factor - 1)
                if name == "mean"
                else MIN_NOISE * (name == "noise") + factor * (values - MIN_NOISE * (name == "noise"))
            )
            assert log_posterior({**process.hyper, name: moved}) < best


def test_it_learns_which_flags_count() -> None:
    """Twelve layers of which two make the quality, from as many masks as a search has seen by its middle."""
    rng = np.random.default_rng(0)
    weights = np.array([0.02] * 10 + [0.4, 0.4])

    def draw(n: int) -> tuple[np.ndarray, np.ndarray]:
        inputs = np.concatenate([rng.random((n, 2)), rng.random((n, 12)) < rng.random((n, 1))], axis=1)
        return inputs, -np.log(inputs[:, 2:] @ weights + 0.05) - inputs[:, 0]

    (seen, losses), (new, truth) = draw(40), draw(300)
    informed = GaussianProcess.fit(seen, losses, [range(2, 14)])
    learnt = informed.hyper["weights"]
    assert set(learnt.argsort()[-2:].tolist()) == {10, 11}
    errors = [np.sqrt(np.mean((process.predict(new)[0] - truth) ** 2)) for process in (informed, GaussianProcess.fit(seen, losses))]
    assert errors[0] < 0.6 * errors[1]


def test_it_learns_a_smooth_function() -> None:
    mean, deviation = GaussianProcess.fit(INPUTS, LOSSES).predict(NEW)
    truth = 100 + 5 * np.sin(3 * NEW[:, 0]) + NEW[:, 1] ** 2
    assert np.abs(mean - truth).mean() < 0.1 * LOSSES.std()
    assert (deviation > 0).all()


def test_fantasize_keeps_the_mean_and_takes_variance_nearby() -> None:
    process = GaussianProcess.fit(INPUTS[:8], LOSSES[:8])
    fantasize = process.fantasize(NEW[:2])
    assert fantasize.predict(NEW)[0] == pytest.approx(process.predict(NEW)[0], rel=1e-6)
    assert (fantasize.predict(NEW)[1] <= process.predict(NEW)[1] + 1e-9).all()
    assert (fantasize.predict(NEW[:2])[1] < 0.8 * process.predict(NEW[:2])[1]).all()


@pytest.mark.parametrize("losses", [[1.0], [2.0, 2.0, 2.0], [1e300, -1e300, 0.0], [1.0, 1.0 + 1e-15]], ids=str)
def test_degenerate_losses_still_give_a_prediction(losses: list[float]) -> None:
    mean, deviation = GaussianProcess.fit(INPUTS[: len(losses)], np.array(losses)).predict(NEW)
    assert np.isfinite(mean).all()
    assert np.isfinite(deviation).all()


def test_repeated_inputs_are_no_trouble() -> None:
    mean, _ = GaussianProcess.fit(np.repeat(INPUTS[:3], 10, axis=0), LOSSES).predict(NEW)
    assert np.isfinite(mean).all()


def test_of_very_many_losses_the_lowest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autopeft.surrogates.gaussian_process.MAX_FITTED", 20)
    monkeypatch.setattr("autopeft.surrogates.gaussian_process.MAX_KEPT", 40)
    inputs = RNG.random((300, 2))
    losses = np.sin(6 * inputs[:, 0]) + inputs[:, 1]
    process = GaussianProcess.fit(inputs, losses)
    assert len(process.inputs) == 40
    kept = np.sort(process.targets.numpy() * process.scale + process.centre)
    assert kept[:20] == pytest.approx(np.sort(losses)[:20])
    mean, _ = process.predict(inputs)
    assert np.abs(mean - losses).mean() < 0.1 * losses.std()


def test_between_steps_the_hyper_parameters_stay_and_the_predictions_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autopeft.surrogates.gaussian_process.ALL_FITTED", 16)
    few, more, many = (GaussianProcess.fit(INPUTS[:n], LOSSES[:n]) for n in (18, 19, 20))
    assert few.hyper is more.hyper
    assert many.hyper is not more.hyper
    assert not np.allclose(few.predict(INPUTS[18:19])[0], LOSSES[18])
    assert np.abs(more.predict(INPUTS[18:19])[0] - LOSSES[18]) < 0.8 * np.abs(few.predict(INPUTS[18:19])[0] - LOSSES[18])


def test_losses_in_another_unit_are_the_same_fit() -> None:
    one, other = GaussianProcess.fit(INPUTS, LOSSES), GaussianProcess.fit(INPUTS, 7.3 * LOSSES - 2)
    assert one.hyper is other.hyper
    assert 7.3 * one.predict(NEW)[0] - 2 == pytest.approx(other.predict(NEW)[0])
