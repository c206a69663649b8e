import numpy as np
import pytest

pytest.importorskip("numpyro", reason="the extra saasbo is not installed")

from autopeft.surrogates.mixture import Mixture
from autopeft.surrogates.saas import N_COMPILED, _remembered, fit_saas, quantiles

RNG = np.random.default_rng(0)
INPUTS = RNG.random((30, 8))
LOSSES = 50 + 5 * np.sin(4 * INPUTS[:, 2])
NEW = RNG.random((40, 8))
TRUTH = 50 + 5 * np.sin(4 * NEW[:, 2])


@pytest.fixture(scope="module")
def process() -> Mixture:
    return fit_saas(INPUTS, LOSSES)


@pytest.mark.slow
def test_it_finds_the_one_coordinate_that_matters(process: Mixture) -> None:
    mean, deviation = process.predict(NEW)
    assert np.abs(mean - TRUTH).mean() < 0.1 * LOSSES.std()
    assert np.isfinite(deviation).all()
    assert (deviation > 0).all()
    for member in process.members:
        assert int(member.hyper["lengths"].argmin()) == 2


@pytest.mark.slow
def test_its_members_are_the_library_s_draws(process: Mixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mixture's moments are those that the library's own posterior has."""
    import torch
    from botorch import fit
    from botorch.models.fully_bayesian import SaasFullyBayesianSingleTaskGP

    kept: list[SaasFullyBayesianSingleTaskGP] = []
    original = fit.fit_fully_bayesian_model_nuts

    def keep(model: SaasFullyBayesianSingleTaskGP, **settings: object) -> None:
        original(model, **settings)
        kept.append(model)

    monkeypatch.setattr(fit, "fit_fully_bayesian_model_nuts", keep)
    _remembered.cache_clear()
    again = fit_saas(INPUTS, LOSSES)
    mean, deviation = again.predict(NEW)
    assert mean == pytest.approx(process.predict(NEW)[0])  # the same data give the same draws
    posterior = kept[0].posterior(torch.as_tensor(NEW))
    expected = LOSSES.mean() + LOSSES.std() * posterior.mixture_mean[:, 0].detach().numpy()
    assert mean == pytest.approx(expected, abs=1e-3 * LOSSES.std())
    assert deviation == pytest.approx(LOSSES.std() * posterior.mixture_variance[:, 0].detach().sqrt().numpy(), abs=1e-3 * LOSSES.std())


@pytest.mark.slow
def test_a_batch_draws_once(process: Mixture, monkeypatch: pytest.MonkeyPatch) -> None:
    fit_saas(INPUTS, LOSSES)
    monkeypatch.setattr("autopeft.surrogates.saas._draw", None)
    again = fit_saas(INPUTS.copy(), LOSSES.copy())
    assert again.predict(NEW)[0] == pytest.approx(process.predict(NEW)[0])
    with pytest.raises(TypeError, match="NoneType"):
        fit_saas(INPUTS, LOSSES**2)


def test_compiled_code_does_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    import jax

    cleared = []
    monkeypatch.setattr(jax, "clear_caches", lambda: cleared.append(True))
    monkeypatch.setattr("autopeft.surrogates.saas._draw", lambda x, y: ())
    _remembered.cache_clear()
    for n in range(2, 2 + 3 * N_COMPILED):
        for _ in range(2):  # a batch draws once
            fit_saas(INPUTS[:n], LOSSES[:n])
    assert len(cleared) == 3
    _remembered.cache_clear()


@pytest.mark.slow
def test_fantasize_keeps_the_mean_and_takes_variance(process: Mixture) -> None:
    fantasize = process.fantasize(NEW[:2])
    assert fantasize.predict(NEW)[0] == pytest.approx(process.predict(NEW)[0], rel=1e-6)
    assert (fantasize.predict(NEW[:2])[1] < process.predict(NEW[:2])[1] + 1e-9).all()


def test_quantiles_keep_the_order_and_nothing_else() -> None:
    losses = np.array([3.0, np.nan, 1.0, 1e9, 1.0])
    scale = quantiles(losses)
    found = scale(np.array([1.0, 3.0, 1e9, 0.0, 1e12, np.nan]))
    assert (np.diff(found[:3]) > 0).all()
    assert found[:3] == pytest.approx(quantiles(np.log(losses))(np.log([1.0, 3.0, 1e9])))
    assert found[3] == found[0]
    assert found[4] == found[2]
    assert np.isnan(found[5])
    assert quantiles(np.array([np.nan]))(np.array([5.0])) == 5.0
