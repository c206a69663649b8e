import numpy as np
import pytest
import torch
from botorch.acquisition.multi_objective.analytic import ExpectedHypervolumeImprovement
from botorch.utils.multi_objective.box_decompositions.non_dominated import FastNondominatedPartitioning
from botorch.utils.testing import MockModel, MockPosterior
from numpy.typing import NDArray

from autopeft.pareto import hypervolume
from autopeft.surrogates.exact_improvement import log_expected_hypervolume_improvement, log_expected_improvement, staircase

Array = NDArray[np.float64]
FRONT = np.array([[0.1, 0.9], [0.3, 0.5], [0.35, 0.45], [0.8, 0.1], [0.9, 0.6], [2.0, -1.0]])
REFERENCE = np.array([1.0, 1.2])
POINTS = [(0.05, 0.5, 0.3), (0.29, 0.45, 0.01), (0.5, 0.2, 0.5), (0.95, 1.3, 0.4), (-1.0, 1.1, 0.2)]
"""Known loss, mean, deviation."""


def exact(known: float, mean: float, deviation: float, front: Array = FRONT) -> float:
    return float(np.exp(log_expected_hypervolume_improvement(*(np.array([one]) for one in (known, mean, deviation)), front, REFERENCE)[0]))


@pytest.mark.parametrize(("known", "mean", "deviation"), POINTS)
def test_it_is_the_mean_gain_in_hypervolume(known: float, mean: float, deviation: float) -> None:
    before = hypervolume(FRONT, REFERENCE)
    draws = np.random.default_rng(0).normal(mean, deviation, size=4000)
    gains = [hypervolume(np.vstack([FRONT, [known, draw]]), REFERENCE) - before for draw in draws]
    assert exact(known, mean, deviation) == pytest.approx(np.mean(gains), abs=4 * float(np.std(gains)) / 4000**0.5 + 1e-12)


@pytest.mark.parametrize(("known", "mean", "deviation"), POINTS)
def test_it_agrees_with_botorch_where_the_known_loss_has_almost_no_variance(known: float, mean: float, deviation: float) -> None:
    reference = torch.as_tensor(-REFERENCE)
    posterior = MockPosterior(mean=-torch.tensor([[[known, mean]]]).double(), variance=torch.tensor([[[1e-16, deviation**2]]]).double())
    partitioning = FastNondominatedPartitioning(reference, torch.as_tensor(-FRONT))
    theirs = ExpectedHypervolumeImprovement(MockModel(posterior), reference.tolist(), partitioning)(torch.zeros(1, 1, 1))
    assert exact(known, mean, deviation) == pytest.approx(float(theirs), rel=1e-6)


def test_an_empty_front_leaves_the_whole_box() -> None:
    assert exact(0.5, 0.2, 1e-6, np.empty((0, 2))) == pytest.approx(0.5 * 1.0, rel=1e-4)


def test_beyond_the_reference_nothing_is_gained() -> None:
    assert exact(1.0, -5.0, 0.1) == 0.0


def test_the_staircase_falls_and_stays_inside() -> None:
    assert staircase(FRONT, REFERENCE).tolist() == [[0.1, 0.9], [0.3, 0.5], [0.35, 0.45], [0.8, 0.1]]


def test_the_logarithm_keeps_falling_where_the_improvement_underflows() -> None:
    means = np.concatenate([np.linspace(-3, 100, 2000), np.geomspace(101, 1e8, 2000)])
    values = log_expected_improvement(means, np.ones_like(means), np.array(0.0))
    assert np.isfinite(values).all()
    assert (np.diff(values) < 0).all()
    assert values[0] == pytest.approx(np.log(3.0003821), rel=1e-6)  # sigma (phi(3) + 3 Phi(3))
