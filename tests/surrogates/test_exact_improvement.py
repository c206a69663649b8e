import numpy as np
import pytest
import torch
from botorch.acquisition.multi_objective.analytic import ExpectedHypervolumeImprovement
from botorch.utils.multi_objective.box_decompositions.non_dominated import FastNondominatedPartitioning
from botorch.utils.testing import MockModel, MockPosterior
from numpy.typing import NDArray

from autopeft.pareto import hypervolume
from autopeft.surrogates.exact_improvement import HypervolumeImprovement, boxes

Array = NDArray[np.float64]
FRONTS = {
    1: np.array([[0.3], [0.5]]),
    2: np.array([[0.1, 0.9], [0.3, 0.5], [0.35, 0.45], [0.8, 0.1], [0.9, 0.6], [2.0, -1.0]]),
    3: np.array([[0.1, 0.9, 0.5], [0.3, 0.5, 0.6], [0.5, 0.6, 0.1], [0.8, 0.1, 0.9]]),
    4: np.random.default_rng(0).random((6, 4)),
}
MEANS = [-0.2, 0.05, 0.3, 0.7, 1.3]
N_DRAWS = 1000


def reference(m: int) -> Array:
    return np.array([1.0, 1.2, 1.1, 1.0])[:m]


def points(m: int) -> list[Array]:
    rng = np.random.default_rng(m)
    return [np.stack([rng.permutation(MEANS)[:m], rng.uniform(0.05, 0.5, m) * (rng.random(m) < known)]) for known in (1, 1, 0.5, 0.5, 0)]


CASES = [pytest.param(m, point, id=f"{m} losses, {i}") for m in FRONTS for i, point in enumerate(points(m))]


def exact(mean: Array, deviation: Array, front: Array, at: Array) -> float:
    return float(np.exp(HypervolumeImprovement(front, at).log_expected(mean[None], deviation[None])[0]))


@pytest.mark.parametrize(("m", "point"), CASES)
def test_it_is_the_mean_gain_in_hypervolume(m: int, point: Array) -> None:
    front, at = FRONTS[m], reference(m)
    before = hypervolume(front, at)
    draws = np.random.default_rng(0).normal(point[0], point[1], size=(N_DRAWS, m)) if point[1].any() else point[:1]
    gains = [hypervolume(np.vstack([front, draw]), at) - before for draw in draws]
    assert exact(*point, front, at) == pytest.approx(np.mean(gains), abs=4 * float(np.std(gains)) / N_DRAWS**0.5 + 1e-4)


@pytest.mark.parametrize("m", [2, 3, 4])
def test_it_agrees_with_botorch(m: int) -> None:
    mean, deviation = points(m)[0]
    at, front = torch.as_tensor(-reference(m)), torch.as_tensor(-FRONTS[m])
    posterior = MockPosterior(mean=-torch.as_tensor(mean)[None, None], variance=torch.as_tensor(deviation**2)[None, None])
    theirs = ExpectedHypervolumeImprovement(MockModel(posterior), at.tolist(), FastNondominatedPartitioning(at, front))
    assert exact(mean, deviation, FRONTS[m], reference(m)) == pytest.approx(float(theirs(torch.zeros(1, 1, 1))), rel=1e-6)


@pytest.mark.parametrize("m", [1, 2, 3])
def test_an_empty_front_leaves_the_whole_box(m: int) -> None:
    assert exact(np.zeros(m), np.zeros(m), np.empty((0, m)), reference(m)) == pytest.approx(float(reference(m).prod()))


def test_beyond_the_reference_and_behind_the_front_nothing_is_certain_to_be_won() -> None:
    for known in ([1.0, -5.0], [0.3, 0.5], [0.95, 0.95]):
        assert exact(np.array(known), np.zeros(2), FRONTS[2], reference(2)) == 0.0


@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_boxes_tile_what_is_not_dominated(m: int) -> None:
    lower, upper = (corner.numpy() for corner in boxes(FRONTS[m], reference(m)))
    draws = np.random.default_rng(0).uniform(-0.5, reference(m), size=(500, m))
    within = ((draws[:, None] > lower) & (draws[:, None] < upper)).all(axis=2).sum(axis=1)
    dominated = (draws[:, None] >= FRONTS[m]).all(axis=2).any(axis=1)
    assert (within == ~dominated).all()


def test_the_logarithm_keeps_falling_where_the_improvement_underflows() -> None:
    means = np.concatenate([np.linspace(-3, 100, 2000), np.geomspace(101, 1e8, 2000)])[:, None]
    values = HypervolumeImprovement(np.zeros((1, 1)), np.ones(1)).log_expected(means, np.ones_like(means))
    assert np.isfinite(values).all()
    assert (np.diff(values) < 0).all()
    assert values[0] == pytest.approx(np.log(3.0003821), rel=1e-6)  # phi(3) + 3 Phi(3)


def test_large_fronts_are_worked_on_in_parts() -> None:
    rng = np.random.default_rng(0)
    improvement = HypervolumeImprovement(rng.random((40, 4)), np.ones(4))
    mean, deviation = rng.random((300, 4)), np.full((300, 4), 0.1)
    whole = improvement.log_expected(mean, deviation)
    assert whole[[7, 250]] == pytest.approx(improvement.log_expected(mean[[7, 250]], deviation[[7, 250]]))
