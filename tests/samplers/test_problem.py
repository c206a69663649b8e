import numpy as np
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from autopeft.samplers.axis import Axis
from autopeft.samplers.problem import MAX_SWAPS, SIZE_DECADES, SearchProblem
from autopeft.space.parameter import OFF_GAP

DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "level": IntDistribution(2, 8, step=2),
    "count": IntDistribution(1, 10_000, log=True),
    "wide": IntDistribution(0, 1000, step=5),
    "rate": FloatDistribution(1e-5, 1e-2, log=True),
    "stepped": FloatDistribution(0.0, 1.0, step=0.25),
    "off": IntDistribution(3, 4),
    "choice": CategoricalDistribution(["a", None, 3, True]),
    "one": IntDistribution(4, 4),
    "fixed": FloatDistribution(0.5, 0.5),
} | {f"layers.{layer}": IntDistribution(0, 1) for layer in range(5)}
LAYERS = [f"layers.{layer}" for layer in range(5)]
PROBLEM = SearchProblem(DISTRIBUTIONS)


def test_points_lie_in_their_distributions() -> None:
    points = PROBLEM.sample(200, np.random.default_rng(0))
    moved = [*PROBLEM.mutate(points, 200, np.random.default_rng(1)), *PROBLEM.neighbours(points[0], np.random.default_rng(1))]
    for point in [*points, *moved]:
        assert list(point) == list(DISTRIBUTIONS)
        for name, distribution in DISTRIBUTIONS.items():
            assert distribution._contains(distribution.to_internal_repr(point[name])), name


@pytest.mark.parametrize("name", list(DISTRIBUTIONS))
def test_ends_of_a_range_can_be_written(name: str) -> None:
    axis = Axis(name, DISTRIBUTIONS[name])
    last = axis.n_values - 1 if axis.n_values else 1.0
    first, other = axis.write(0.0), axis.write(last)
    assert axis.read(first) == pytest.approx(0.0)
    assert axis.read(other) == pytest.approx(last)


def test_switches_are_found_by_what_they_are_and_counts_of_them_are_drawn_evenly() -> None:
    (columns,) = PROBLEM.flag_columns
    points = PROBLEM.sample(3000, np.random.default_rng(0))
    first = points[0] | dict(zip(LAYERS, [1, 0, 0, 1, 1], strict=True))
    assert PROBLEM.encode([first])[0, list(columns)].tolist() == [1, 0, 0, 1, 1]
    counts = np.bincount([sum(point[name] for name in LAYERS) for point in points], minlength=6)
    assert counts.min() > 400
    renamed = SearchProblem({name: IntDistribution(0, 1) for name in ("bitfit", "norms", "embeddings")})
    assert renamed.flag_columns == ((0, 1, 2),)
    assert SearchProblem(DISTRIBUTIONS, flags=[LAYERS[:2], LAYERS[2:]]).flag_columns == (columns[:2], columns[2:])
    assert SearchProblem(DISTRIBUTIONS, flags=[]).flag_columns == ()


def test_choices_that_are_numbers_have_an_order_and_truth_values_are_switches() -> None:
    """As people write them: sizes as a list, layers as truth values in either order, a size that is off or 4."""
    layers: dict[str, BaseDistribution] = {f"on.{layer}": CategoricalDistribution([True, False]) for layer in range(3)}
    sizes: dict[str, BaseDistribution] = {"rank": CategoricalDistribution([64, 0, 4, 16]), "size": IntDistribution(0, 4, step=4)}
    problem = SearchProblem({**layers, **sizes})
    assert problem.flag_columns == ((0, 1, 2, 4),)
    point = {"on.0": True, "on.1": False, "on.2": True, "rank": 16, "size": 0}
    # From off to the first size it is further than from one size to the next.
    assert problem.encode([point]).tolist() == [[1, 0, 1, (2 + OFF_GAP) / (3 + OFF_GAP), 0]]
    around = problem.neighbours(point, np.random.default_rng(0))
    assert all(one[name] in {True, False} for one in around for name in layers)
    assert {one["size"] for one in around} == {0, 4}
    assert {one["rank"] for one in around} == {0, 4, 16, 64}
    names = SearchProblem({"targets": CategoricalDistribution(["query", "value"]), "odd": CategoricalDistribution([1, "1"])})
    assert names.encode([{"targets": "value", "odd": "1"}]).tolist() == [[0, 1, 0, 1]]


def test_neighbours_are_one_step_away_or_move_a_flag() -> None:
    point = PROBLEM.sample(1, np.random.default_rng(3))[0]
    around = PROBLEM.neighbours(point, np.random.default_rng(0))
    changed = [[name for name in point if one[name] != point[name]] for one in around]
    assert {len(names) for names in changed} == {1, 2}
    for one, names in zip(around, changed, strict=True):
        if len(names) == 2:
            assert set(names) <= set(LAYERS)
            assert sum(one[name] for name in LAYERS) == sum(point[name] for name in LAYERS)


def test_coordinates_stay_in_the_unit_cube() -> None:
    points = PROBLEM.sample(100, np.random.default_rng(0))
    for coordinates in (PROBLEM.encode(points), PROBLEM.features(points), PROBLEM.coverage(points)):
        assert coordinates.min() >= 0
        assert coordinates.max() <= 1
    assert PROBLEM.encode(points).shape[1] == 8 + 4 + 5  # four for the choice
    assert PROBLEM.features(points).shape[1] == 1  # the share of layers
    assert PROBLEM.coverage(points).shape[1] == 9 + 1


def test_of_many_pairs_of_flags_some_are_neighbours() -> None:
    problem = SearchProblem({f"layers.{layer}": IntDistribution(0, 1) for layer in range(40)})
    point = {f"layers.{layer}": layer % 2 for layer in range(40)}
    one, other = (problem.neighbours(point, np.random.default_rng(seed)) for seed in (0, 1))
    assert len(one) == len(other) == 40 + MAX_SWAPS  # of 400 pairs
    assert set(map(str, one)) != set(map(str, other))
    assert all(sum(moved.values()) == 20 for moved in one[40:])


def test_less_than_a_hundredth_of_a_range_apart_is_a_repeat() -> None:
    problem = SearchProblem({"n": IntDistribution(0, 4), "x": FloatDistribution(1e-4, 1e-2, log=True)})
    axis = Axis("x", problem.distributions["x"])
    key, near, far, other = (problem.key({"n": n, "x": axis.write(at)}) for n, at in [(2, 0.5), (2, 0.504), (2, 0.51), (3, 0.5)])
    assert key == near
    assert len({key, far, other}) == 3


def test_what_violates_or_has_no_cost_has_no_key() -> None:
    class Bounded(SearchProblem):
        def violation(self, params: dict) -> float:
            return max(0.0, params["n"] - 2.0)

    problem = Bounded({"n": IntDistribution(0, 4)}, {0: lambda params: 1.0 if params["n"] else float("nan")})
    assert [problem.key({"n": n}) is None for n in range(5)] == [True, False, False, True, True]
    assert problem.exact_objectives == (0,)


def test_an_exact_cost_tells_how_much_there_is_in_each_flag_and_how_high_a_rate_is_for_it() -> None:
    space: dict[str, BaseDistribution] = {"rate": FloatDistribution(1e-5, 1e-2, log=True), "plain": FloatDistribution(0, 1)}
    space |= {name: IntDistribution(0, 1) for name in LAYERS}
    calls = []

    def cost(params: dict) -> float:
        calls.append(params)
        return 100.0 * sum(params[name] for name in LAYERS)

    problem = SearchProblem(space, {1: cost})
    none, one, two = ({"rate": 1e-3, "plain": 0.5} | {name: int(i < n) for i, name in enumerate(LAYERS)} for n in range(3))
    features = problem.features([none, one, two, two | {"rate": 1e-2}])
    assert features[:, 0] == pytest.approx([0, 0.2, 0.4, 0.4])  # the share on
    assert features[1:, 1] == pytest.approx(2 / SIZE_DECADES)  # a hundred in each
    assert np.diff(features[:, 2]) == pytest.approx([2 / 9, np.log10(2) / 9, 1 / 3])  # a third of a decade for a decade, of three
    assert np.isfinite(features).all()
    problem.key(two)
    assert len(calls) == 4  # each point is asked for once
    assert SearchProblem(space).features([two]).shape == (1, 1)
