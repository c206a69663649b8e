"""What can be told of a trial's parameters before any training: what they mean, what they cost, what lies one step away."""

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autopeft.configuration import Configuration, Scalar
from autopeft.errors import InvalidInputError
from autopeft.objectives import TRAINABLE_PARAMETERS, Constraint, Objective
from autopeft.samplers.registry import Knowledge
from autopeft.samplers.view import SpaceHints
from autopeft.space.parameter import Real
from autopeft.space.space import Point, SearchSpace
from autopeft.study.coding import Coding

Parameters = dict[str, Any]
KnownValues = Callable[[Configuration], Mapping[str, float] | None]
"""The known costs of a configuration, by name; None: the backbone can't take it. They follow from its modules."""

LEARNING_RATE, SIZE = "learning_rate", TRAINABLE_PARAMETERS.name
RATE_PER_SIZE = 1 / 3
"""By about so many powers of ten the best learning rate falls for every power of ten in trainable parameters.

It gives the surrogate a direction to look along, no more: rate and size remain coordinates of their own.
"""
SIZE_DECADES = 4
"""Powers of ten over which the parameters in a layer may differ, about."""
MAX_LAYER_STEPS = 24
"""A local search looks at so many steps in one set of layers, all that twelve layers have: in a deep model they'd outnumber all others."""
CACHE_SIZE = 20_000
"""A suggestion looks at a few thousand points, many of them more than once and again at the next."""


class Sight(NamedTuple):
    """What is remembered of a trial's parameters, or of all but its training hyper-parameters."""

    name: Hashable
    """What those of one configuration share; None if it can't be built or has no module."""
    known: Mapping[str, float] | None
    """The known costs; None if it can't be built."""
    n_layers: int
    """How many layers have a module."""
    coordinates: tuple[float, ...]
    """The same for all that mean the same."""


class Foresight:
    """A search space as samplers see it: everything is a function of a trial's parameters.

    Args:
        space: What to choose from.
        objectives: What is traded off.
        known: What a configuration's known costs come to.
        constraints: What a search keeps to; of these, those on known costs matter here.
        floors: Values of metrics, by name, that no training at all reaches too: a configuration that doesn't exceed them is worth nothing.

    Raises:
        InvalidInputError: Nothing in the space can be built, or nothing that can be keeps to the constraints.
    """

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective],
        known: KnownValues,
        constraints: Sequence[Constraint] = (),
        floors: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        self.space, self.objectives, self.constraints = space, tuple(objectives), tuple(constraints)
        self._known, self._floors = known, dict(floors)
        self._bounds = [constraint for constraint in constraints if constraint.objective.known]
        self.coding = Coding(space)
        self._training = tuple(self.coding.to_params(space.point_near({})).values())[len(space.parameters) - len(space.training) :]
        """Training hyper-parameters' values that stand for any."""
        self._look = lru_cache(CACHE_SIZE)(self._work_out)
        self._look_at_modules = lru_cache(CACHE_SIZE)(self._work_out_modules)
        self.smallest = self._find_allowed()
        """A small point that may be proposed."""

    def identity(self, params: Parameters) -> Hashable:
        """Return what a trial means, the same for all of one configuration; None if it must not be proposed.

        That is what can't be built or breaks a constraint on a known cost, and what has no module: the head alone is no answer to
        which modules to use, unless the space has none.
        """
        seen = self._seen(params)
        return None if self._excess(seen.known) > 0 else seen.name

    def excess(self, params: Parameters) -> float:
        """Return how far a trial lies above the constraints on known costs, 0 if it keeps to them; infinite if it can't be built."""
        return self._excess(self._seen(params).known)

    def objection(self, point: Point) -> str:
        """Return why a point may not be proposed, as a clause; empty if it may."""
        seen = self._seen(self.coding.to_params(point))
        if (known := seen.known) is None:
            return "the backbone can't take it"
        if seen.name is None:
            return "it has no module"
        broken = [bound.objective for bound in self._bounds if bound.excess(known[bound.objective.name]) > 0]
        return f"that is {known[broken[0].name]:,.0f} {broken[0].unit}, more than allowed" if broken else ""

    def neighbours(self, params: Parameters, rng: np.random.Generator) -> list[Parameters]:
        """Return the parameters one step away; of the steps in a deep model's layers, some."""
        return self._around(params, rng, MAX_LAYER_STEPS)

    def knowledge(self) -> Knowledge:
        """Return all of it in the form that samplers take."""
        known = {index: self._value(objective.name) for index, objective in enumerate(self.objectives) if objective.known}
        reference = {
            index: self._floors[objective.name] for index, objective in enumerate(self.objectives) if objective.name in self._floors
        }
        hints = SpaceHints(
            identity=self.identity,
            encode=self._encode,
            flags=self.space.flag_columns(),
            features=self._features,
            neighbours=self.neighbours,
        )
        return Knowledge(self.coding.distributions, known, hints, reference)

    def _find_allowed(self) -> Parameters:
        """Return the first point that may be proposed, by rising number of modules and layers, then by steps down from the smallest."""
        best: tuple[float, Parameters] | None = None
        for point in self.space.sparse_points():
            params = self.coding.to_params(point)
            if self.identity(params) is not None:
                return params
            excess = self.excess(params)
            if np.isfinite(excess) and self._seen(params).name is not None and (best is None or excess < best[0]):
                best = excess, params
        if best is None:
            raise InvalidInputError(f"the backbone can take no configuration of the space {self.space.name}")
        params = self._descend(best[1])
        if self.identity(params) is None:
            raise self._impossible(params)
        return params

    def _descend(self, params: Parameters) -> Parameters:
        """Walk to neighbours that break the constraints less, for spaces in which several modules are always on."""
        rng = np.random.default_rng(0)
        while self.identity(params) is None:
            found = [one for one in self._around(params, rng) if self._seen(one).name is not None]
            best = min(found, key=self.excess, default=params)
            if self.excess(best) >= self.excess(params):
                break
            params = best
        return params

    def _impossible(self, params: Parameters) -> InvalidInputError:
        known = self._seen(params).known
        assert known is not None
        broken = max(self._bounds, key=lambda bound: bound.excess(known[bound.objective.name]))
        name, unit = broken.objective.name.replace("_", " "), broken.objective.unit
        smallest = f"the smallest possible has {known[broken.objective.name]:,.0f} {unit}"
        return InvalidInputError(
            f"no configuration of the space {self.space.name} keeps its {name} to {broken.upper:,.10g}: {smallest}",
            remedy=f"Allow at least {known[broken.objective.name]:,.0f}, or take a space with smaller modules.",
        )

    def _around(self, params: Parameters, rng: np.random.Generator, max_layer_steps: int | None = None) -> list[Parameters]:
        points = self.space.neighbours(self.coding.to_point(params), rng, max_layer_steps)
        return [self.coding.to_params(point) for point in points]

    def _excess(self, known: Mapping[str, float] | None) -> float:
        if known is None:
            return float("inf")
        return max((0.0, *(bound.excess(known[bound.objective.name]) for bound in self._bounds)))

    def _value(self, name: str) -> Callable[[Parameters], float]:
        def value(params: Parameters) -> float:
            known = self._seen(params).known
            return float("nan") if known is None else known[name]

        return value

    def _encode(self, trials: Sequence[Parameters]) -> NDArray[np.float64]:
        return np.array([self._seen(params).coordinates for params in trials], dtype=np.float64).reshape(len(trials), self.space.width)

    def _features(self, trials: Sequence[Parameters]) -> NDArray[np.float64]:
        """Return what a surrogate should see beside the parameters, n x 2, or n x 1 if no learning rate is searched.

        That is how many parameters there are for each layer that has any, and how high the learning rate is for their number.
        """
        rate = next((parameter for parameter in self.space.training if parameter.name == LEARNING_RATE), None)
        rows = []
        for params in trials:
            seen = self._seen(params)
            size = math.log10(max(1.0, (seen.known or {}).get(SIZE, 1.0)))
            row = [(size - math.log10(max(1, seen.n_layers))) / SIZE_DECADES]
            if isinstance(rate, Real) and rate.log:
                row.append((math.log10(params[LEARNING_RATE]) + RATE_PER_SIZE * size) / math.log10(rate.high / rate.low))
            rows.append(row)
        return np.array(rows, dtype=np.float64).reshape(len(trials), -1)

    def _seen(self, params: Parameters) -> Sight:
        return self._look(tuple(map(params.__getitem__, self.coding.distributions)))

    def _work_out(self, values: tuple[Any, ...]) -> Sight:
        """Return what is to be seen of a trial, given its parameters' values; points that differ in training alone share most of it."""
        first = len(values) - len(self.space.training)
        modules = self._look_at_modules(values[:first])
        point = self._point(values)
        training = [number for parameter in self.space.training for number in parameter.encode(point[parameter.name])]
        name = None if modules.name is None else (modules.name, *values[first:])
        return Sight(name, modules.known, modules.n_layers, (*modules.coordinates, *training))

    def _work_out_modules(self, values: tuple[Any, ...]) -> Sight:
        """Return what is to be seen of all parameters but the training hyper-parameters, which are the last."""
        point = self._point((*values, *self._training))
        configuration = self.space.configuration(point)
        known = self._known(configuration)
        allowed = known is not None and (configuration.modules or not self.space.slots)
        n_layers = len({layer for module in configuration.modules for layer in module.layers or ()})
        width = self.space.width - sum(parameter.width for parameter in self.space.training)
        coordinates = self.space.encode([self.space.canonical(point)])[0, :width]
        return Sight(configuration if allowed else None, known, n_layers, tuple(coordinates.tolist()))

    def _point(self, values: tuple[Any, ...]) -> dict[str, Scalar]:
        return self.coding.to_point(dict(zip(self.coding.distributions, values, strict=True)))
