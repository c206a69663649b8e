import numpy as np
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from autopeft.samplers.grid import MAX_SWAPS, Axis, Grid

DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "level": IntDistribution(2, 8, step=2),
    "count": IntDistribution(1, 10_000, log=True),
    "wide": IntDistribution(0, 1000, step=5),
    "rate": FloatDistribution(1e-5, 1e-2, log=True),
    "stepped": FloatDistribution(0.0, 1.0, step=0.25),
    "choice": CategoricalDistribution(["a", None, 3, True]),
    "one": IntDistribution(4, 4),
    "fixed": FloatDistribution(0.5, 0.5),
} | {f"layers.{layer}": IntDistribution(0, 1) for layer in range(5)}
GRID = Grid(DISTRIBUTIONS)


def test_rows_become_parameters_of_their_distributions_and_back() -> None:
    rows = GRID.sample(200, np.random.default_rng(0))
    for row in [*rows, *GRID.mutate(rows, 200, np.random.default_rng(1)), *GRID.neighbours(rows[0], np.random.default_rng(1))]:
        params = GRID.write(row)
        for name, distribution in DISTRIBUTIONS.items():
            assert distribution._contains(distribution.to_internal_repr(params[name])), name
        assert GRID.write(GRID.read(params)) == pytest.approx(params)


@pytest.mark.parametrize("name", list(DISTRIBUTIONS))
def test_ends_of_a_range_can_be_written(name: str) -> None:
    axis = Axis(name, DISTRIBUTIONS[name])
    last = axis.n_values - 1 if axis.n_values else 1.0
    first, other = axis.write(0.0), axis.write(last)
    assert axis.read(first) == pytest.approx(0.0)
    assert axis.read(other) == pytest.approx(last)


def test_flags_are_found_and_counts_of_them_are_drawn_evenly() -> None:
    assert [[GRID.axes[i].name for i in group] for group in GRID.flags] == [[f"layers.{layer}" for layer in range(5)]]
    columns = GRID.flag_coordinates[0]
    row = GRID.sample(1, np.random.default_rng(0))
    row[:, GRID.flags[0]] = [1, 0, 0, 1, 1]
    assert GRID.encode(row)[0, columns].tolist() == [1, 0, 0, 1, 1]
    n_on = GRID.sample(3000, np.random.default_rng(0))[:, GRID.flags[0]].sum(axis=1)
    counts = np.bincount(n_on.astype(int), minlength=6)
    assert counts.min() > 400


def test_neighbours_are_one_step_away_or_move_a_flag() -> None:
    row = GRID.read(GRID.write(GRID.sample(1, np.random.default_rng(3))[0]))
    around = GRID.neighbours(row, np.random.default_rng(0))
    changed = (around != row).sum(axis=1)
    assert set(changed) <= {1, 2}
    for moved in around[changed == 2]:
        assert moved[GRID.flags[0]].sum() == row[GRID.flags[0]].sum()


def test_coordinates_stay_in_the_unit_cube() -> None:
    rows = GRID.sample(100, np.random.default_rng(0))
    for coordinates in (GRID.encode(rows), GRID.summarise(rows)):
        assert coordinates.min() >= 0
        assert coordinates.max() <= 1
    assert GRID.encode(rows).shape[1] == 16 + 1  # four for the choice, one for the share of layers
    assert GRID.summarise(rows).shape[1] == 8 + 1


def test_of_many_pairs_of_flags_some_are_neighbours() -> None:
    grid = Grid({f"layers.{layer}": IntDistribution(0, 1) for layer in range(40)})
    row = (np.arange(40) % 2).astype(np.float64)
    one, other = (grid.neighbours(row, np.random.default_rng(seed)) for seed in (0, 1))
    assert len(one) == len(other) == 40 + MAX_SWAPS  # of 400 pairs
    assert set(map(bytes, one)) != set(map(bytes, other))
    assert (one[40:].sum(axis=1) == row.sum()).all()
