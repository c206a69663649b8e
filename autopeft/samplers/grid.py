"""Optuna distributions as a grid that can be encoded and walked on.

Legend:
    p, d    parameters, coordinates
    row     p numbers: the index of a categorical or ordered value, the position in [0, 1] of a value out of many
    n       rows

Integers of up to `MAX_LEVELS` values are ordered levels; longer ranges and floats are positions, on a log scale where their
distribution says so, and are rounded when written.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

Array = NDArray[np.float64]
Parameters = dict[str, Any]

MAX_LEVELS = 64
MIN_FLAGS = 3
"""So many on-off integers with a common name and a number at its end are flags, such as a mask of layers."""
MAX_SWAPS = 36
"""So many pairs of an on and an off flag are neighbours, all that twelve flags have; more are drawn at random."""
LEVEL_STEPS = (-2, -1, 1, 2)
POSITION_STEPS = (-0.1, -0.05, -0.02, 0.02, 0.05, 0.1)


@dataclass(frozen=True)
class Axis:
    """One parameter."""

    name: str
    distribution: BaseDistribution

    @cached_property
    def n_values(self) -> int:
        """Number of levels; 0 for positions."""
        match self.distribution:
            case CategoricalDistribution(choices=choices):
                return len(choices)
            case IntDistribution(low=low, high=high, step=step, log=log):
                n_values = (high - low) // step + 1
                return n_values if n_values <= MAX_LEVELS and not log else int(low == high)
            case FloatDistribution(low=low, high=high):
                return int(low == high)
            case _:
                raise TypeError(f"{self.name}: {type(self.distribution).__name__} is not supported")

    @property
    def is_categorical(self) -> bool:
        """Whether its levels have no order."""
        return isinstance(self.distribution, CategoricalDistribution)

    @cached_property
    def values(self) -> list[Any]:
        """Value of each level; none for positions."""
        return [self._written(level) for level in range(self.n_values)]

    def write(self, at: float) -> Any:
        """Return the value at a level or position."""
        return self.values[int(at)] if self.n_values else self._written(at)

    def _written(self, at: float) -> Any:
        match self.distribution:
            case CategoricalDistribution(choices=choices):
                return choices[int(at)]
            case IntDistribution(low=low, high=high, step=step):
                steps = at if self.n_values else (self._value(at) - low) / step
                return min(high, max(low, low + step * round(steps)))
            case FloatDistribution(low=low, high=high, step=step):
                number = self._value(at)
                return min(high, max(low, number if step is None else low + step * round((number - low) / step)))

    def read(self, value: Any) -> float:
        """Return the level or position of a value."""
        if isinstance(self.distribution, CategoricalDistribution):
            return float(self.distribution.to_internal_repr(value))
        if self.n_values:
            low, step = self._level
            return float(round((value - low) / step))
        low, high = self._ends
        return (self._scale(value) - low) / (high - low)

    def _value(self, position: float) -> float:
        low, high = self._ends
        scaled = low + position * (high - low)
        return math.exp(scaled) if self._log else scaled

    @cached_property
    def _level(self) -> tuple[float, float]:
        """The value of the first level, and how far apart levels are."""
        assert isinstance(self.distribution, IntDistribution | FloatDistribution)
        return self.distribution.low, self.distribution.step or 1

    @cached_property
    def _ends(self) -> tuple[float, float]:
        """The bounds, as logarithms on a log scale."""
        assert isinstance(self.distribution, IntDistribution | FloatDistribution)
        return self._scale(self.distribution.low), self._scale(self.distribution.high)

    def _scale(self, value: float) -> float:
        return math.log(value) if self._log else float(value)

    @cached_property
    def _log(self) -> bool:
        return bool(getattr(self.distribution, "log", False))


class Grid:
    """All parameters of a space."""

    def __init__(self, distributions: Mapping[str, BaseDistribution]) -> None:
        self.axes = [Axis(name, distribution) for name, distribution in distributions.items()]
        self.n_values = np.array([axis.n_values for axis in self.axes], dtype=np.int64)
        self.flags = _flag_groups(self.axes)
        """Columns of each group of flags."""

    @property
    def flag_coordinates(self) -> list[list[int]]:
        """Coordinates of each group of flags, as `encode` returns them."""
        widths = [axis.n_values if axis.is_categorical else 1 for axis in self.axes]
        firsts = np.cumsum([0, *widths])
        return [[int(firsts[i]) for i in group] for group in self.flags]

    def read(self, params: Mapping[str, Any]) -> Array:
        """Return the row of a trial's parameters."""
        return np.array([axis.read(params[axis.name]) for axis in self.axes], dtype=np.float64)

    def write(self, row: Array) -> Parameters:
        """Return a row as a trial's parameters."""
        return {axis.name: axis.write(at) for axis, at in zip(self.axes, row.tolist(), strict=True)}

    def places(self, rows: Array) -> Array:
        """Return rows of which equal ones are repeats: a hundredth of a range apart is a new point; closer is hidden by noise."""
        return np.where(self.n_values > 0, rows, np.round(rows, 2))

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Draw n rows; how many flags of a group are on is drawn uniformly, so that few and many on are as frequent."""
        uniform = rng.random((n, len(self.axes)))
        rows = np.where(self.n_values > 0, np.floor(uniform * self.n_values), uniform)
        for columns in self.flags:
            n_on = rng.integers(len(columns) + 1, size=n)
            ranks = np.argsort(np.argsort(rng.random((n, len(columns))), axis=1), axis=1)
            rows[:, columns] = ranks < n_on[:, None]
        return rows

    def encode(self, rows: Array) -> Array:
        """Return n x d coordinates in [0, 1]: ranks and positions, one coordinate a choice, and the share on of each group of flags."""
        columns = [self._column(rows, i) for i in range(len(self.axes))]
        return np.concatenate([*columns, *self._shares(rows)], axis=1)

    def summarise(self, rows: Array) -> Array:
        """Return the coordinates that an initial design should cover: all but single flags, levels at the middles of their shares."""
        flags = {i for group in self.flags for i in group}
        middles = np.where(self.n_values > 0, (rows + 0.5) / np.maximum(1, self.n_values), rows)
        return np.concatenate([middles[:, [i for i in range(len(self.axes)) if i not in flags]], *self._shares(rows)], axis=1)

    def neighbours(self, row: Array, rng: np.random.Generator) -> Array:
        """Return the rows one step away: one parameter moved, or one flag of a group handed to another, of which a large group has many."""
        moved = [_with(row, {i: at}) for i in range(len(row)) for at in self._moves(i, row[i])]
        for columns in self.flags:
            on, off = [i for i in columns if row[i]], [i for i in columns if not row[i]]
            swaps = [(i, j) for i in on for j in off]
            chosen = swaps if len(swaps) <= MAX_SWAPS else [swaps[k] for k in rng.permutation(len(swaps))[:MAX_SWAPS]]
            moved += [_with(row, {i: 0.0, j: 1.0}) for i, j in chosen]
        return np.array(moved, dtype=np.float64).reshape(len(moved), len(row))

    def mutate(self, rows: Array, n: int, rng: np.random.Generator, max_steps: int = 3) -> Array:
        """Return n rows, each one to `max_steps` random single moves away from one of the given."""
        found = rows[rng.integers(len(rows), size=n)].copy()
        for row, n_steps in zip(found, rng.integers(1, max_steps + 1, size=n), strict=True):
            for i in rng.integers(len(row), size=n_steps):
                if moves := self._moves(i, row[i]):
                    row[i] = moves[int(rng.integers(len(moves)))]
        return found

    def _column(self, rows: Array, i: int) -> Array:
        axis, column = self.axes[i], rows[:, i : i + 1]
        scaled: Array = column == np.arange(axis.n_values) if axis.is_categorical else column / max(1, axis.n_values - 1)
        return scaled.astype(np.float64)

    def _shares(self, rows: Array) -> list[Array]:
        return [rows[:, group].mean(axis=1, keepdims=True) for group in self.flags]

    def _moves(self, i: int, at: float) -> list[float]:
        n_values = int(self.n_values[i])
        if self.axes[i].is_categorical:
            return [float(other) for other in range(n_values) if other != at]
        if n_values:
            return sorted({at + step for step in LEVEL_STEPS if 0 <= at + step < n_values} | ({0.0} - {at}))
        return sorted({min(1.0, max(0.0, at + step)) for step in POSITION_STEPS} - {at})


def _with(row: Array, changes: Mapping[int, float]) -> Array:
    moved = row.copy()
    for i, at in changes.items():
        moved[i] = at
    return moved


def _flag_groups(axes: Sequence[Axis]) -> list[list[int]]:
    groups: dict[str, list[int]] = {}
    for i, axis in enumerate(axes):
        if axis.n_values == 2 and isinstance(axis.distribution, IntDistribution) and (found := re.fullmatch(r"(.*?)\d+", axis.name)):
            groups.setdefault(found[1], []).append(i)
    return [columns for columns in groups.values() if len(columns) >= MIN_FLAGS]
