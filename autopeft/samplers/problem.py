"""A search problem as a sampler sees it: all that is known of a trial's parameters without training.

Legend: n points, p parameters, d coordinates of a point, m objectives.
"""

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution

from autopeft.samplers.axis import Axis

Array = NDArray[np.float64]
Parameters = dict[str, Any]

RATE_PER_SIZE = 1 / 3
"""By about so many powers of ten the best learning rate falls for every power of ten in trainable parameters.

It gives the surrogate a direction to look along, no more: rate and size remain coordinates of their own.
"""
SIZE_DECADES = 4
"""Powers of ten over which the parameters in a layer may differ, about."""
MAX_REMEMBERED = 20_000
"""Points of which exact costs are remembered: a suggestion looks at a few thousand, many of them more than once."""
MIN_FLAGS = 3
"""So many parameters that are on or off are taken to be flags of one kind, if nothing is said of them."""
MAX_SWAPS = 36
"""So many pairs of an on and an off flag are neighbours, all that twelve flags have; more are drawn at random."""


class SearchProblem:
    """What a sampler can ask of points, each a trial's parameters.

    This class answers from the parameters' distributions alone. A problem of which more is known overrides `key`, `encode`, `features`,
    `neighbours`, `exact_costs` or `violation`; every sampler asks the same object.

    Args:
        distributions: The space of every trial.
        exact_costs: By objective index, the function from a point to its value. It is trusted over what trials measure.
        trivial: By objective index, the value that no training reaches too, from which on a point is worth nothing.
        flags: The names of each group of flags, which are switches of one kind such as layers. If left out, all that are on or off.
    """

    def __init__(
        self,
        distributions: Mapping[str, BaseDistribution],
        exact_costs: Mapping[int, Callable[[Parameters], float]] | None = None,
        *,
        trivial: Mapping[int, float] | None = None,
        flags: Sequence[Sequence[str]] | None = None,
    ) -> None:
        self.distributions, self.trivial = dict(distributions), dict(trivial or {})
        self._exact_costs = dict(exact_costs or {})
        self._remembered: dict[tuple[Any, ...], dict[int, float]] = {}
        self._axes = [Axis(name, distribution) for name, distribution in self.distributions.items()]
        self._n_values = np.array([axis.n_values for axis in self._axes], dtype=np.int64)
        places = {axis.name: i for i, axis in enumerate(self._axes)}
        switches = [[axis.name for axis in self._axes if axis.is_flag]]
        found = [group for group in switches if len(group) >= MIN_FLAGS] if flags is None else flags
        self._flags = [[places[name] for name in group] for group in found]

    @property
    def exact_objectives(self) -> tuple[int, ...]:
        """Indices of the objectives of which `exact_costs` tells the values."""
        return tuple(self._exact_costs)

    @property
    def costs(self) -> frozenset[int]:
        """Indices of the objectives that are known to be costs, of which ratios matter; others are judged by their values."""
        return frozenset()

    @property
    def flag_columns(self) -> tuple[tuple[int, ...], ...]:
        """The coordinates of each group of flags: a surrogate learns how much each counts."""
        firsts = np.cumsum([0, *(axis.width for axis in self._axes)])
        return tuple(tuple(int(firsts[i]) for i in group) for group in self._flags)

    def sample(self, n: int, rng: np.random.Generator) -> list[Parameters]:
        """Draw n points; how many flags of a group are on is drawn uniformly, so that few and many on are as frequent."""
        uniform = rng.random((n, len(self._axes)))
        rows = np.where(self._n_values > 0, np.floor(uniform * self._n_values), uniform)
        for columns in self._flags:
            n_on = rng.integers(len(columns) + 1, size=n)
            ranks = np.argsort(np.argsort(rng.random((n, len(columns))), axis=1), axis=1)
            rows[:, columns] = ranks < n_on[:, None]
        return [self._write(row) for row in rows.tolist()]

    def __getstate__(self) -> dict[str, Any]:
        """Pickle without what is remembered."""
        return {**self.__dict__, "_remembered": {}}

    def key(self, params: Parameters) -> Hashable:
        """Return what a point means: points of one key are repeats. None: the point must not be proposed."""
        if self.violation(params) > 0 or not all(map(math.isfinite, self.exact_costs(params).values())):
            return None
        return tuple(axis.round(axis.read(params[axis.name])) for axis in self._axes)

    def violation(self, params: Parameters) -> float:
        """Return how far a point is from what may be proposed, 0 if it is allowed."""
        return 0.0

    def exact_costs(self, params: Parameters) -> Mapping[int, float]:
        """Return the values of objectives that follow from the parameters, by index; NaN where a point has none."""
        values = tuple(params[name] for name in self.distributions)
        if values not in self._remembered:
            if len(self._remembered) == MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[values] = {index: float(cost(params)) for index, cost in self._exact_costs.items()}
        return self._remembered[values]

    def encode(self, points: Sequence[Parameters]) -> Array:
        """Return n x d coordinates in [0, 1]: levels and positions, one coordinate a choice."""
        rows = self._rows(points)
        columns = [self._coordinates(axis, rows[:, [i]]) for i, axis in enumerate(self._axes)]
        return np.concatenate([np.empty((len(points), 0)), *columns], axis=1)

    def features(self, points: Sequence[Parameters]) -> Array:
        """Return what else a surrogate should see, of about that size: the share on of each group of flags, and for each exact cost

        - how much of it there is, on a log scale, for each flag of a group that is on, as there are parameters in a layer;
        - for each parameter on a log scale how high it is for such a cost: larger modules take lower learning rates.
        """
        rows = self._rows(points)
        parts = [np.empty((len(points), 0)), *self._shares(rows)]
        for index in self._exact_costs:
            costs = np.array([self.exact_costs(point)[index] for point in points]).reshape(len(points), 1)
            size = np.log10(costs, out=np.zeros_like(costs), where=np.isfinite(costs) & (costs > 0))
            parts += [(size - np.log10(np.maximum(1, rows[:, group].sum(axis=1, keepdims=True)))) / SIZE_DECADES for group in self._flags]
            parts += [rows[:, [i]] + RATE_PER_SIZE * size / axis.decades for i, axis in enumerate(self._axes) if axis.decades]
        return np.concatenate(parts, axis=1)

    def bias_coordinates(self, points: Sequence[Parameters]) -> Array:
        """Return the few coordinates, n x q of about [0, 1], on which it may depend how far low cost misjudges a point."""
        return self.features(points)

    def coverage(self, points: Sequence[Parameters]) -> Array:
        """Return the coordinates that an initial design should cover: all but single flags, of which it is the share that are on."""
        rows, flags = self._rows(points), {i for group in self._flags for i in group}
        middles = np.where(self._n_values > 0, (rows + 0.5) / np.maximum(1, self._n_values), rows)
        return np.concatenate([middles[:, [i for i in range(len(self._axes)) if i not in flags]], *self._shares(rows)], axis=1)

    def neighbours(self, params: Parameters, rng: np.random.Generator) -> list[Parameters]:
        """Return the points one step away: one parameter moved, or one flag of a group handed to another, of a large group some."""
        moves = [(axis.name, axis.write(at)) for axis in self._axes for at in axis.moves(axis.read(params[axis.name]))]
        found = [{**params, name: value} for name, value in moves if value != params[name]]  # a short way may be rounded to none
        for group in self._flags:
            flags = [self._axes[i] for i in group]
            swaps = [(on, off) for on in flags if params[on.name] for off in flags if not params[off.name]]
            chosen = swaps if len(swaps) <= MAX_SWAPS else [swaps[k] for k in rng.permutation(len(swaps))[:MAX_SWAPS]]
            found += [{**params, on.name: on.values[0], off.name: off.values[1]} for on, off in chosen]
        return found

    def mutate(self, points: Sequence[Parameters], n: int, rng: np.random.Generator, max_steps: int = 3) -> list[Parameters]:
        """Return n points, each one to `max_steps` random single moves away from one of the given."""
        found = [dict(points[i]) for i in rng.integers(len(points), size=n)]
        for point, n_steps in zip(found, rng.integers(1, max_steps + 1, size=n), strict=True):
            for i in rng.integers(len(self._axes), size=n_steps):
                axis = self._axes[i]
                if moves := axis.moves(axis.read(point[axis.name])):
                    point[axis.name] = axis.write(moves[int(rng.integers(len(moves)))])
        return found

    def _write(self, row: Sequence[float]) -> Parameters:
        return {axis.name: axis.write(at) for axis, at in zip(self._axes, row, strict=True)}

    def _rows(self, points: Sequence[Parameters]) -> Array:
        """Return n x p levels and positions."""
        reads = [(axis.name, axis.read) for axis in self._axes]
        rows = [[read(point[name]) for name, read in reads] for point in points]
        return np.array(rows, dtype=np.float64).reshape(len(points), len(self._axes))

    def _coordinates(self, axis: Axis, column: Array) -> Array:
        levels = column + axis.gap * (column > 0)
        scaled: Array = (column == np.arange(axis.n_values)) * 1.0 if axis.is_categorical else levels / max(1, axis.n_values - 1 + axis.gap)
        return scaled

    def _shares(self, rows: Array) -> list[Array]:
        return [rows[:, group].mean(axis=1, keepdims=True) for group in self._flags]
