"""The search problem of a search: what is known of a point of a space before any training.

A point has three forms: a space's YAML text describes all of them, a trial's parameters are the record, a configuration is what is
trained. In a trial an ordinal parameter is written as its level, because Optuna's integer distributions know only even steps and its
categorical ones know no order; the name says so: "lora.size.level".
"""

import math
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from autopeft.configuration import Configuration, Scalar, written
from autopeft.errors import AutopeftError, InvalidInputError, UnsupportedError
from autopeft.objectives import TRAINABLE_PARAMETERS, Constraint, Objective
from autopeft.samplers.problem import RATE_PER_SIZE, SIZE_DECADES, Parameters, SearchProblem
from autopeft.space.parameter import Categorical, Ordinal, Parameter, Real, first_value
from autopeft.space.slots import Point
from autopeft.space.space import SearchSpace
from autopeft.study.record import EarlyMetrics

ExactCosts = Callable[[Configuration], Mapping[str, float] | None]
"""The costs of a configuration that follow from it, by name; None: the backbone can't take it. They follow from its modules."""
Resolve = Callable[[Configuration], Configuration]
"""What comes of a configuration on the backbone: the same for all that train the same modules."""

LEARNING_RATE, SIZE = "learning_rate", TRAINABLE_PARAMETERS.name
MAX_LAYER_STEPS = 24
"""A local search looks at so many steps in one set of layers, all that twelve layers have: in a deep model they'd outnumber all others."""
CACHE_SIZE = 20_000
"""A suggestion looks at a few thousand points, many of them more than once and again at the next."""


class PointInfo(NamedTuple):
    """What is remembered of a trial's parameters, or of all but its training hyper-parameters."""

    key: Hashable
    """What those of one configuration share; None if it can't be built or has no module."""
    costs: Mapping[str, float] | None
    """The exact costs; None if it can't be built."""
    n_layers: int
    """How many layers have a module."""
    coordinates: tuple[float, ...]
    """The same for all that mean the same."""


class SpaceProblem(SearchProblem):
    """A search space on a backbone, with what is traded off and kept to.

    Args:
        space: What to choose from.
        objectives: What is traded off.
        costs: What a configuration's exact costs come to.
        constraints: What a search keeps to; of these, those on exact costs matter here.
        trivial_scores: Values of metrics, by name, that no training at all reaches too: what doesn't exceed them is worth nothing.
        resolve: What comes of a configuration on the backbone; two of which the same comes are one. None: the configuration itself.
        early_metrics: What may stand for the first of the task's metrics while a trial is on its way.
        trivial_errors: Standard errors of trivial scores, by name, over the examples that trials are measured on.
        late: Names of objectives that are measured at the end alone.

    Raises:
        InvalidInputError: Nothing in the space can be built, or nothing that can be keeps to the constraints.
    """

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective],
        costs: ExactCosts,
        constraints: Sequence[Constraint] = (),
        trivial_scores: Mapping[str, float] = MappingProxyType({}),
        resolve: Resolve | None = None,
        early_metrics: EarlyMetrics = MappingProxyType({}),
        trivial_errors: Mapping[str, float] = MappingProxyType({}),
        late: Collection[str] = (),
    ) -> None:
        self.late = frozenset(late)
        rest = dict(trivial_scores), resolve, dict(early_metrics), dict(trivial_errors), self.late
        self._given = (space, objectives, costs, constraints, *rest)
        self.space, self.objectives, self.constraints = space, tuple(objectives), tuple(constraints)
        self._costs, self._resolve, self.early_metrics, self.trivial_errors = costs, resolve, early_metrics, trivial_errors
        self._bounds = [constraint for constraint in constraints if constraint.objective.known]
        self._columns = [(parameter.name, _written_name(parameter), _ranked(parameter)) for parameter in space.parameters]
        super().__init__(
            {name: _distribution(parameter) for parameter, (_, name, _) in zip(space.parameters, self._columns, strict=True)},
            trivial={i: trivial_scores[one.name] for i, one in enumerate(objectives) if one.name in trivial_scores},
            flags=space.flags,
        )
        self._training = tuple(self.to_params(space.point_near({})).values())[len(space.parameters) - len(space.training) :]
        """Training hyper-parameters' values that stand for any."""
        self._look = lru_cache(CACHE_SIZE)(self._work_out)
        self._look_at_modules = lru_cache(CACHE_SIZE)(self._work_out_modules)
        self.smallest = self._find_allowed()
        """A small point that may be proposed."""

    def __reduce__(self) -> tuple[type["SpaceProblem"], tuple[Any, ...]]:
        """Pickle what it was made of; what it remembers is worked out anew."""
        return SpaceProblem, self._given

    def to_point(self, params: Mapping[str, Any]) -> dict[str, Scalar]:
        """Read a trial's parameters as a point of the space."""
        return {name: params[column] if ranked is None else ranked.values[params[column]] for name, column, ranked in self._columns}

    def to_params(self, point: Point) -> Parameters:
        """Write a point of the space as a trial's parameters."""
        return {column: point[name] if ranked is None else ranked.index(point[name]) for name, column, ranked in self._columns}

    def configuration(self, params: Mapping[str, Any]) -> Configuration:
        """Read a trial's parameters as the configuration that it trains."""
        return self.space.configuration(self.to_point(params))

    @property
    def exact_objectives(self) -> tuple[int, ...]:
        """Indices of the objectives that follow from a configuration."""
        return tuple(index for index, objective in enumerate(self.objectives) if objective.known)

    @property
    def costs(self) -> frozenset[int]:
        """Indices of the objectives that are costs."""
        return frozenset(index for index, objective in enumerate(self.objectives) if objective.is_cost)

    @property
    def flag_columns(self) -> tuple[tuple[int, ...], ...]:
        """The coordinates of each set of layers that is searched layer by layer."""
        return tuple(map(tuple, self.space.flag_columns()))

    def sample(self, n: int, rng: np.random.Generator) -> list[Parameters]:
        """Draw n points under the space's prior; of layers that are flags, few and many are as frequent."""
        if self.space.is_uniform:
            return super().sample(n, rng)
        return [self.to_params(self.space.draw(rng)) for _ in range(n)]

    def key(self, params: Parameters) -> Hashable:
        """Return what a trial means, the same for all of which the same modules come on the backbone; None if it must not be proposed.

        Learning rates count as written, in three digits: a difference that nobody would see and no training could show makes no new trial.
        Not to be proposed is what can't be built or breaks a constraint on an exact cost, and what has no module: the head alone is no
        answer to which modules to use, unless the space has none.
        """
        found = self._info(params)
        return None if self._excess(found.costs) > 0 else found.key

    def violation(self, params: Parameters) -> float:
        """Return how far a trial lies above the constraints on exact costs, 0 if it keeps to them; infinite if it can't be built."""
        return self._excess(self._info(params).costs)

    def objection(self, point: Point) -> str:
        """Return why a point may not be proposed, as a clause; empty if it may."""
        found = self._info(self.to_params(point))
        if (costs := found.costs) is None:
            return "the backbone can't take it"
        if found.key is None:
            return "it has no module"
        broken = [bound.objective for bound in self._bounds if bound.excess(costs[bound.objective.name]) > 0]
        return f"that is {costs[broken[0].name]:,.0f} {broken[0].unit}, more than allowed" if broken else ""

    def costs_of(self, point: Point) -> Mapping[str, float]:
        """Return the exact costs of a point of the space, by name.

        Raises:
            UnsupportedError: The backbone can't take it.
        """
        costs = self._info(self.to_params(point)).costs
        if costs is None:
            raise UnsupportedError(f"the backbone can't take {self.space.configuration(point).describe()}")
        return costs

    def neighbours(self, params: Parameters, rng: np.random.Generator) -> list[Parameters]:
        """Return the parameters one step away; of the steps in a deep model's layers, some."""
        return self._around(params, rng, MAX_LAYER_STEPS)

    def exact_costs(self, params: Parameters) -> Mapping[int, float]:
        """Return the objectives that follow from a configuration, by index; NaN if it can't be built."""
        costs = self._info(params).costs
        return {index: math.nan if costs is None else costs[self.objectives[index].name] for index in self.exact_objectives}

    def encode(self, points: Sequence[Parameters]) -> NDArray[np.float64]:
        """Return n x d coordinates, the same for all points that read as one configuration."""
        return np.array([self._info(params).coordinates for params in points], dtype=np.float64).reshape(len(points), self.space.width)

    def features(self, points: Sequence[Parameters]) -> NDArray[np.float64]:
        """Return what a surrogate should see beside the parameters, n x 2, or n x 1 if no learning rate is searched.

        That is how many parameters there are for each layer that has any, and how high the learning rate is for their number.
        """
        rate = next((parameter for parameter in self.space.training if parameter.name == LEARNING_RATE), None)
        rows = []
        for params in points:
            found = self._info(params)
            size = math.log10(max(1.0, (found.costs or {}).get(SIZE, 1.0)))
            row = [(size - math.log10(max(1, found.n_layers))) / SIZE_DECADES]
            if isinstance(rate, Real) and rate.log:
                row.append((math.log10(params[LEARNING_RATE]) + RATE_PER_SIZE * size) / math.log10(rate.high / rate.low))
            rows.append(row)
        return np.array(rows, dtype=np.float64).reshape(len(points), -1)

    def bias_coordinates(self, points: Sequence[Parameters]) -> NDArray[np.float64]:
        """Return how many parameters there are, on a log scale, and the share of layers that have a module, n x 2.

        Few modules in few layers learn sooner: they look better at low cost than they are at the full budget.
        """
        found = [self._info(params) for params in points]
        sizes = [math.log10(max(1.0, (one.costs or {}).get(SIZE, 1.0))) / SIZE_DECADES for one in found]
        shares = [one.n_layers / max(1, self.space.n_layers) for one in found]
        return np.array([sizes, shares], dtype=np.float64).T.reshape(len(points), 2)

    def _find_allowed(self) -> Parameters:
        """Return the first point that may be proposed, by rising number of modules and layers, then by steps down from the smallest."""
        best: tuple[float, Parameters] | None = None
        impossible: Parameters | None = None
        for point in self.space.sparse_points():
            params = self.to_params(point)
            impossible = params if impossible is None and self._info(params).costs is None else impossible
            if self.key(params) is not None:
                return params
            excess = self.violation(params)
            if np.isfinite(excess) and self._info(params).key is not None and (best is None or excess < best[0]):
                best = excess, params
        if best is None:
            raise InvalidInputError(f"the backbone can take no configuration of the space {self.space.name}{self._why_not(impossible)}")
        params = self._descend(best[1])
        if self.key(params) is None:
            raise self._impossible(params)
        return params

    def _why_not(self, params: Parameters | None) -> str:
        """Return why the backbone can't take a point, to end a sentence with; empty if nothing says so."""
        try:
            if params is not None and self._resolve is not None:
                self._resolve(self.configuration(params))
        except AutopeftError as error:
            return f"; of one of its smallest, {error}"
        return ""

    def _descend(self, params: Parameters) -> Parameters:
        """Walk to neighbours that break the constraints less, for spaces in which several modules are always on."""
        rng = np.random.default_rng(0)
        while self.key(params) is None:
            found = [one for one in self._around(params, rng) if self._info(one).key is not None]
            best = min(found, key=self.violation, default=params)
            if self.violation(best) >= self.violation(params):
                break
            params = best
        return params

    def _impossible(self, params: Parameters) -> InvalidInputError:
        costs = self._info(params).costs
        assert costs is not None
        broken = max(self._bounds, key=lambda bound: bound.excess(costs[bound.objective.name]))
        name, unit = broken.objective.name.replace("_", " "), broken.objective.unit
        smallest = f"the smallest possible has {costs[broken.objective.name]:,.0f} {unit}"
        return InvalidInputError(
            f"no configuration of the space {self.space.name} keeps its {name} to {broken.upper:,.10g}: {smallest}",
            remedy=f"Allow at least {costs[broken.objective.name]:,.0f}, or take a space with smaller modules.",
        )

    def _around(self, params: Parameters, rng: np.random.Generator, max_layer_steps: int | None = None) -> list[Parameters]:
        points = self.space.neighbours(self.to_point(params), rng, max_layer_steps)
        return [self.to_params(point) for point in points]

    def _excess(self, costs: Mapping[str, float] | None) -> float:
        if costs is None:
            return float("inf")
        return max((0.0, *(bound.excess(costs[bound.objective.name]) for bound in self._bounds)))

    def _info(self, params: Parameters) -> PointInfo:
        return self._look(tuple(map(params.__getitem__, self.distributions)))

    def _work_out(self, values: tuple[Any, ...]) -> PointInfo:
        """Return what is known of a trial, given its parameters' values; points that differ in training alone share most of it."""
        first = len(values) - len(self.space.training)
        modules = self._look_at_modules(values[:first])
        point = self.to_point(dict(zip(self.distributions, values, strict=True)))
        moot = self.space.moot({module.method for module in modules.key} if isinstance(modules.key, tuple) else ())
        effective = [first_value(one) if one.name in moot else point[one.name] for one in self.space.training]
        training = [number for one, value in zip(self.space.training, effective, strict=True) for number in one.encode(value)]
        as_read = (written(value) if isinstance(value, float) else value for value in effective)
        key = None if modules.key is None else (modules.key, *as_read)
        return PointInfo(key, modules.costs, modules.n_layers, (*modules.coordinates, *training))

    def _work_out_modules(self, values: tuple[Any, ...]) -> PointInfo:
        """Return what is known of all parameters but the training hyper-parameters, which are the last."""
        point = self.to_point(dict(zip(self.distributions, (*values, *self._training), strict=True)))
        configuration = self.space.configuration(point)
        costs = self._costs(configuration)
        modules = () if costs is None else (configuration if self._resolve is None else self._resolve(configuration)).modules
        n_layers = len({layer for module in configuration.modules for layer in module.layers or ()})
        width = self.space.width - sum(parameter.width for parameter in self.space.training)
        coordinates = self.space.encode([self.space.canonical(point)])[0, :width]
        key = modules if costs is not None and (modules or not self.space.slots) else None
        return PointInfo(key, costs, n_layers, tuple(coordinates.tolist()))


def _written_name(parameter: Parameter) -> str:
    return parameter.name if _ranked(parameter) is None else f"{parameter.name}.level"


def _ranked(parameter: Parameter) -> Ordinal | None:
    """Return a parameter whose levels are written, None if its values are."""
    return parameter if isinstance(parameter, Ordinal) and not parameter.are_ranks else None


def _distribution(parameter: Parameter) -> BaseDistribution:
    match parameter:
        case Ordinal():
            return IntDistribution(0, len(parameter.values) - 1)
        case Real():
            return FloatDistribution(parameter.low, parameter.high, log=parameter.log)
        case Categorical():
            return CategoricalDistribution(parameter.values)
        case _:
            raise TypeError(f"no Optuna distribution stands for {type(parameter).__name__}")
