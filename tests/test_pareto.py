import numpy as np
import pytest

from autopeft.objectives import Objective, losses
from autopeft.pareto import hypervolume, knee, non_dominated

STAIRS = np.array([[1.0, 4.0], [2.0, 2.0], [4.0, 1.0], [3.0, 3.0], [2.0, 2.0]])


def test_equal_points_share_the_front_and_nan_is_never_on_it() -> None:
    assert non_dominated(STAIRS).tolist() == [True, True, True, False, True]
    assert non_dominated(np.array([[np.nan, 0.0], [1.0, 1.0]])).tolist() == [False, True]


@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_non_dominated_against_the_definition(m: int) -> None:
    points = np.random.default_rng(m).integers(0, 5, size=(60, m)).astype(float)
    slow = [not any((other <= point).all() and (other < point).any() for other in points) for point in points]
    assert non_dominated(points).tolist() == slow


def test_hypervolume_counted_by_hand() -> None:
    # Columns up to the reference (5, 5): [1,2) has height 1, [2,4) height 3, [4,5) height 4.
    assert hypervolume(STAIRS, np.array([5.0, 5.0])) == 1 * 1 + 2 * 3 + 1 * 4
    assert hypervolume(STAIRS, np.array([1.0, 1.0])) == 0.0


@pytest.mark.parametrize("m", [2, 3, 4])
def test_hypervolume_against_counted_cells(m: int) -> None:
    points = np.random.default_rng(m).integers(0, 6, size=(12, m)).astype(float)
    cells = np.stack(np.meshgrid(*[np.arange(6)] * m, indexing="ij"), -1).reshape(-1, m)
    dominated = (points[None] <= cells[:, None]).all(-1).any(-1)
    assert hypervolume(points, np.full(m, 6.0)) == dominated.sum()


def test_knee_is_the_point_that_gives_up_least() -> None:
    assert knee(np.array([[0.0, 10.0], [1.0, 1.0], [10.0, 0.0], [11.0, 11.0]])) == 1
    with pytest.raises(ValueError, match="empty front"):
        knee(np.full((1, 2), np.nan))


def test_losses_flip_what_is_maximised() -> None:
    objectives = [Objective("accuracy", "maximize"), Objective("trainable_parameters", "minimize")]
    assert losses(objectives, [{"trainable_parameters": 7, "accuracy": 0.5}]).tolist() == [[-0.5, 7.0]]
    assert losses(objectives, []).shape == (0, 2)


def test_direction_is_checked() -> None:
    with pytest.raises(ValueError, match="minimize or maximize"):
        Objective("accuracy", "up")  # type: ignore[arg-type]


def test_many_points_are_compared_in_parts() -> None:
    rng = np.random.default_rng(0)
    points = rng.random((2500, 3)).round(2)
    points[7] = np.nan
    parts = non_dominated(points)
    valid = ~np.isnan(points).any(axis=1)
    expected = [
        bool(valid[i]) and not ((points[valid] <= points[i]).all(axis=1) & (points[valid] < points[i]).any(axis=1)).any()
        for i in range(2500)
    ]
    assert parts.tolist() == expected
    circle = np.linspace(0, np.pi / 2, 1500)
    assert non_dominated(np.stack([-np.cos(circle), -np.sin(circle)], axis=1)).all()
