import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal, norm

from autopeft.surrogates import averaged
from autopeft.surrogates.averaged import fit_averaged
from autopeft.surrogates.gaussian_process import GaussianProcess
from autopeft.surrogates.hyper_posterior import HyperPosterior
from autopeft.surrogates.kernel import Kernel
from autopeft.surrogates.mixture import Mixture

RNG = np.random.default_rng(0)
INPUTS = RNG.random((40, 5))
TRUTH = np.sin(4 * INPUTS[:, 0]) + INPUTS[:, 1]
NEW = RNG.random((300, 5))


def test_of_noisy_measurements_it_tells_more_than_one_fit() -> None:
    """Few of many coordinates matter, and half of the variance is noise."""
    found: dict[str, list[tuple[float, float]]] = {"one": [], "averaged": []}
    for seed in range(6):
        rng = np.random.default_rng(seed)
        points, new = rng.random((48, 12)), rng.random((300, 12))
        truth, losses = hidden(new), hidden(points) + 0.7 * rng.normal(size=48)
        for name, fit in (("one", GaussianProcess.fit), ("averaged", fit_averaged)):
            mean, deviation = fit(points, losses, ()).predict(new)
            found[name].append((((mean - truth) ** 2).mean() ** 0.5, norm.logpdf(truth, mean, deviation).mean()))
    (error, density), (error_averaged, density_averaged) = (np.mean(one, axis=0) for one in found.values())
    assert error_averaged < 0.9 * error
    assert density_averaged > density + 0.1


def hidden(points: np.ndarray) -> np.ndarray:
    result: np.ndarray = np.sin(4 * points[:, 0]) + 2 * points[:, 1] * points[:, 2]
    return result


def test_without_noise_it_passes_through_what_was_measured() -> None:
    mean, deviation = fit_averaged(INPUTS, TRUTH).predict(INPUTS)
    assert mean == pytest.approx(TRUTH, abs=0.02)
    assert deviation.max() < 0.1


def test_the_same_data_give_the_same_mixture_in_any_unit() -> None:
    losses = TRUTH + 0.1 * RNG.normal(size=40)
    mean, deviation = fit_averaged(INPUTS, losses).predict(NEW)
    again = fit_averaged(INPUTS.copy(), 100 * losses + 7).predict(NEW)
    assert again[0] == pytest.approx(100 * mean + 7, rel=1e-5)
    assert again[1] == pytest.approx(100 * deviation, rel=1e-4)


def test_draws_scatter_around_the_mode_as_laplace_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """The covariance of many draws is the inverse of the second derivatives, which differences of the density itself agree with."""
    monkeypatch.setattr(averaged, "N_PAIRS", 4000)
    x, y = torch.tensor(INPUTS), torch.tensor((TRUTH - TRUTH.mean()) / TRUTH.std() + 0.5 * RNG.normal(size=40))
    posterior = HyperPosterior(Kernel(5), x, y, of_logs=True)
    mode = posterior.mode()
    draws = averaged._draw(Kernel(5), *(one.numpy().tobytes() for one in (x, y)))
    noise = np.log([float(one["noise"]) for one in draws])
    means = np.array([float(one["mean"]) for one in draws])
    assert means.mean() == pytest.approx(mode[-1], abs=1e-3)

    def density(i: int, j: int, step: float = 1e-3) -> float:
        corners = [(1, 1), (1, -1), (-1, 1), (-1, -1)]
        moved = [mode + step * (a * np.eye(len(mode))[i] + b * np.eye(len(mode))[j]) for a, b in corners]
        return float(np.dot([1, -1, -1, 1], [posterior.cost(one)[0] for one in moved]) / (4 * step**2))

    second = np.array([[density(i, j) for j in range(len(mode))] for i in range(len(mode))])
    expected = np.linalg.inv(second)[np.ix_([-2, -1], [-2, -1])]
    assert np.cov(noise, means) == pytest.approx(expected, rel=0.1, abs=0.01)


def test_a_mixture_has_the_moments_of_its_members_together() -> None:
    """Against a large sample: one member drawn, then a value from it."""
    members = tuple(GaussianProcess.fit(INPUTS[:n], TRUTH[:n]) for n in (6, 10, 16))
    mean, deviation = Mixture(members).predict(NEW[:4])
    each = [member.predict(NEW[:4]) for member in members]
    values = np.concatenate([multivariate_normal(m, np.diag(d**2)).rvs(20_000, random_state=1) for m, d in each])
    assert mean == pytest.approx(values.mean(axis=0), abs=0.02)
    assert deviation == pytest.approx(values.std(axis=0), rel=0.02)
