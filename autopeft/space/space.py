"""A search space: a fixed list of parameters, and how a point in it reads as a configuration.

Nothing is conditional. A module of size 0 is absent and its other settings are moot, so every point has the same coordinates and
a surrogate sees every trial; points that mean the same read as the same configuration.
"""

import itertools
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from autopeft.configuration import Configuration, PeftModule, Scalar
from autopeft.errors import InvalidInputError
from autopeft.space.layers import LayerRule, LayerSet, layer_set
from autopeft.space.parameter import Categorical, Ordinal, Parameter, Real, first_value
from autopeft.space.slots import ModuleSlot, Point
from autopeft.training_parameters import DEFAULTS, TRAINING_PARAMETERS, TrainingValue

Prior = Literal["even", "sparse"]
"""How many modules of a proposal are on: each size of each, off among them, is as likely; or one is as likely as more than one."""
LayerSharing = Literal["shared", "per_module"]


@dataclass(frozen=True)
class SearchSpace:
    """What a search may choose from, for a backbone of a known number of layers.

    Raises:
        InvalidInputError: Two parameters share a name, or a slot has no method or no size other than 0.
    """

    name: str
    slots: tuple[ModuleSlot, ...]
    training: tuple[Parameter, ...]
    n_layers: int
    sharing: LayerSharing = "shared"
    """One set of layers for all modules, or one for each."""
    rule: LayerRule = "mask"
    """How these sets are written."""
    fixed_training: tuple[tuple[str, TrainingValue], ...] = ()
    """Training hyper-parameters that are set and not searched."""
    prior: Prior = "even"
    """Which points are drawn more often."""

    def __post_init__(self) -> None:
        for slot in self.slots:
            if not slot.choices or not all(any(choice.sizes) for choice in slot.choices):
                raise InvalidInputError(f"{slot.name} needs a method, and a size other than 0", value=slot.choices)
        names = [parameter.name for parameter in self.parameters]
        if twice := {name for name in names if names.count(name) > 1}:
            raise InvalidInputError("every parameter of a space needs a name of its own", value=min(twice))

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """All parameters: the slots', those of the sets of layers, the training hyper-parameters'."""
        slots = [parameter for slot in self.slots for parameter in slot.parameters]
        layers = [parameter for one in self._layer_sets.values() for parameter in one.parameters]
        return (*slots, *layers, *self.training)

    @cached_property
    def size(self) -> float:
        """Number of points, counting a real interval as one value and what names the same layers once."""
        own = [parameter.n_values for slot in self.slots for parameter in slot.parameters]
        trained = [parameter.n_values for parameter in self.training if not isinstance(parameter, Real)]
        return math.prod((*own, *(one.size for one in self._layer_sets.values()), *trained))

    @cached_property
    def width(self) -> int:
        """Number of coordinates d of an encoded point."""
        return sum(parameter.width for parameter in self.parameters)

    def configuration(self, point: Point) -> Configuration:
        """Read a point as a configuration.

        Raises:
            InvalidInputError: A parameter has no value or one outside its range.
        """
        self._require(point)
        layers = self._layers(point)
        modules = tuple(slot.module(point, layers.get(self._layer_key(slot), ())) for slot in self.slots)
        training = dict(self.fixed_training) | {one.name: _training_value(point[one.name]) for one in self.training}
        moot = self.moot({module.method for module in modules if not module.is_off})
        return Configuration(modules, {name: value for name, value in training.items() if name not in moot})

    def moot(self, methods: Collection[str]) -> frozenset[str]:
        """Return the recipes of the space that mean nothing to a configuration of these methods."""
        return frozenset(name for name, needed in self._conditions if needed.isdisjoint(methods))

    def sample(self, rng: np.random.Generator) -> dict[str, Scalar]:
        """Draw a point, every parameter independently."""
        return {parameter.name: parameter.sample(rng) for parameter in self.parameters}

    @cached_property
    def is_uniform(self) -> bool:
        """Whether all values of a parameter are as likely, in a draw, as they are in `sample`."""
        return self.prior == "even" and "weighted" not in (self.rule, *(slot.layers for slot in self.slots))

    def draw(self, rng: np.random.Generator) -> dict[str, Scalar]:
        """Draw a point under the prior.

        Under the sparse one k modules are on with a probability in proportion to 2^-k, each equally often and of any size. As likely is it
        that k of the lists of training hyper-parameters, from k = 0 on, have another value than the default.
        """
        point = {parameter.name: parameter.sample(rng) for parameter in self.training}
        if self.prior == "sparse" and self._recipes:
            point |= self._drawn_recipes(rng)
        on = self._drawn_modules(rng) if self.prior == "sparse" else frozenset(range(len(self.slots)))
        for i, slot in enumerate(self.slots):
            point |= slot.draw(rng, on=i in on, off_too=self.prior == "even")
        for one in self._layer_sets.values():
            point |= one.sample(rng)
        return {parameter.name: point[parameter.name] for parameter in self.parameters}

    def _drawn_modules(self, rng: np.random.Generator) -> frozenset[int]:
        weights = 0.5 ** np.arange(1, len(self.slots) + 1)
        n_on = 1 + int(rng.choice(len(weights), p=weights / weights.sum())) if len(weights) else 0
        return frozenset(rng.permutation(len(self.slots))[:n_on].tolist())

    def _drawn_recipes(self, rng: np.random.Generator) -> dict[str, Scalar]:
        """Draw which recipes are on, and the values of these from all but the default."""
        weights = 0.5 ** np.arange(len(self._recipes) + 1)
        n_on = int(rng.choice(len(weights), p=weights / weights.sum()))
        on = set(rng.permutation(len(self._recipes))[:n_on].tolist())
        found: dict[str, Scalar] = {}
        for i, one in enumerate(self._recipes):
            others = [value for value in one.values if value != DEFAULTS[one.name]]
            found[one.name] = others[int(rng.integers(len(others)))] if i in on else one.values[one.values.index(DEFAULTS[one.name])]
        return found

    def canonical(self, point: Point) -> dict[str, Scalar]:
        """Return the one point that stands for all that read as the same configuration: what is moot has its first value."""
        self._require(point)
        found, layers = dict(point), self._layers(point)
        for slot in self.slots:
            found |= slot.canonical(point, layers.get(self._layer_key(slot), ()))
        for key, one in self._layer_sets.items():
            used = any(slot.stands_in(point, layers[key]) for slot in self.slots if self._layer_key(slot) == key)
            found |= one.canonical(point) if used else {parameter.name: first_value(parameter) for parameter in one.parameters}
        if self._conditions:
            moot = self.moot({module.method for module in self.configuration(point).modules})
            found |= {parameter.name: first_value(parameter) for parameter in self.training if parameter.name in moot}
        return found

    def point_near(self, modules: Mapping[str, PeftModule]) -> dict[str, Scalar]:
        """Return the point that comes nearest to some modules, by the slots to hold them; other slots are off.

        Of training hyper-parameters numbers are in the middle of their ranges, and what has a list of values is at the default or first.
        """
        point = {parameter.name: first_value(parameter) for parameter in self.parameters}
        point |= {parameter.name: _usual(parameter) for parameter in self.training}
        for slot in self.slots:
            if slot.name in modules:
                point |= slot.nearest(modules[slot.name])
        for key, one in self._layer_sets.items():
            named = [modules[slot.name].layers or () for slot in self.slots if slot.name in modules and self._layer_key(slot) == key]
            if layers := sorted({layer for some in named for layer in some}):
                point |= one.nearest(tuple(layers))
        return point

    def sparse_points(self) -> Iterator[dict[str, Scalar]]:
        """Yield points of one module in as few layers as its rule allows, all others off, or at their smallest if they are never off.

        Of a space without modules it is one point.
        """
        rest = {parameter.name: first_value(parameter) for parameter in self.parameters}
        if not self.slots:
            yield rest
        for slot in self.slots:
            names = [parameter.name for parameter in slot.parameters]
            few = self._layer_sets[self._layer_key(slot)].fewest() if slot.placed_in_layers else [{}]
            for values in itertools.product(*(parameter.values for parameter in slot.parameters)):
                own = dict(zip(names, values, strict=True))
                yield from ({**rest, **own, **layers} for layers in few)

    def neighbours(self, point: Point, rng: np.random.Generator, max_layer_steps: int | None = None) -> list[dict[str, Scalar]]:
        """Return every point that differs from this one by one step of one parameter, and some in which a layer makes way for another.

        Of the steps in one set of layers there are at most `max_layer_steps`, drawn at random; None: all.
        """
        self._require(point)
        steps = [{parameter.name: value} for parameter in self._unplaced for value in parameter.neighbours(point[parameter.name], rng)]
        for one in self._layer_sets.values():
            around = [{parameter.name: value} for parameter in one.parameters for value in parameter.neighbours(point[parameter.name], rng)]
            around += one.moves(point, rng)
            if max_layer_steps is not None and len(around) > max_layer_steps:
                around = [around[i] for i in rng.permutation(len(around))[:max_layer_steps]]
            here = one.layers(point)
            steps += [step for step in around if one.layers({**point, **step}) != here]
        return [{**point, **step} for step in steps]

    def encode(self, points: Sequence[Point]) -> NDArray[np.float64]:
        """Return the n x d matrix of coordinates of n points."""
        rows = [[number for parameter in self.parameters for number in parameter.encode(point[parameter.name])] for point in points]
        return np.array(rows, dtype=np.float64).reshape(len(points), self.width)

    def decode(self, coordinates: NDArray[np.float64]) -> list[dict[str, Scalar]]:
        """Return the points nearest to the rows of an n x d matrix of coordinates."""
        edges = np.cumsum([0, *(parameter.width for parameter in self.parameters)])
        spans = list(zip(self.parameters, edges[:-1], edges[1:], strict=True))
        return [{parameter.name: parameter.decode(row[start:end]) for parameter, start, end in spans} for row in coordinates]

    def _require(self, point: Point) -> None:
        for parameter in self.parameters:
            if parameter.name not in point:
                raise InvalidInputError(f"a point needs a value for {parameter.name}", value=dict(point))
            parameter.check(point[parameter.name])

    @property
    def flags(self) -> list[tuple[str, ...]]:
        """The names of the layers' flags in each set of layers that is searched layer by layer."""
        return [layers.flags for layers in self._layer_sets.values() if layers.flags]

    def flag_columns(self) -> list[list[int]]:
        """Return, for each set of layers that is searched layer by layer, the columns of `encode` that are its layers' flags."""
        edges = np.cumsum([0, *(parameter.width for parameter in self.parameters)])
        first = {parameter.name: int(edge) for parameter, edge in zip(self.parameters, edges[:-1], strict=True)}
        return [[first[name] for name in group] for group in self.flags]

    @cached_property
    def _layer_sets(self) -> dict[str, LayerSet]:
        """Each set of layers by the prefix of its parameters."""
        placed = [slot for slot in self.slots if slot.placed_in_layers]
        return {self._layer_key(slot): layer_set(slot.layers or self.rule, self._layer_key(slot), self.n_layers) for slot in placed}

    @cached_property
    def _unplaced(self) -> tuple[Parameter, ...]:
        """All parameters but those of the sets of layers."""
        return (*(parameter for slot in self.slots for parameter in slot.parameters), *self.training)

    @cached_property
    def _recipes(self) -> tuple[Ordinal | Categorical, ...]:
        """The training hyper-parameters that are chosen from a list with their default in it."""
        lists = (one for one in self.training if isinstance(one, Ordinal | Categorical))
        return tuple(one for one in lists if DEFAULTS.get(one.name) in one.values and len(one.values) > 1)

    @cached_property
    def _conditions(self) -> tuple[tuple[str, frozenset[str]], ...]:
        """The training hyper-parameters that mean something to some methods alone, with these."""
        names = [*(one.name for one in self.training), *(name for name, _ in self.fixed_training)]
        return tuple((name, found.methods) for name in names if (found := TRAINING_PARAMETERS.get(name)) is not None and found.methods)

    def _layer_key(self, slot: ModuleSlot) -> str:
        return "" if slot.layers is None and self.sharing == "shared" else f"{slot.name}."

    def _layers(self, point: Point) -> dict[str, tuple[int, ...]]:
        """Return the layers of each set; a slot that has none is not placed in layers."""
        return {key: one.layers(point) for key, one in self._layer_sets.items()}


def _usual(parameter: Parameter) -> Scalar:
    """Return the value of a training hyper-parameter that stands for any: a list's default, and of an interval the middle."""
    if isinstance(parameter, Ordinal | Categorical):
        return next((value for value in parameter.values if value == DEFAULTS.get(parameter.name)), parameter.values[0])
    return parameter.decode(parameter.width * [0.5])


def _training_value(value: Scalar) -> TrainingValue:
    return value if isinstance(value, str) else float(value)
