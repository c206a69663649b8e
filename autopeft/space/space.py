"""A search space: a fixed list of parameters, and how a point in it reads as a configuration.

Nothing is conditional. A module of size 0 is absent and its other settings are moot, so every point has the same coordinates and
a surrogate sees every trial; points that mean the same read as the same configuration.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from autopeft.configuration import Configuration, PeftModule, Scalar
from autopeft.errors import InvalidInputError
from autopeft.space.parameter import Categorical, Ordinal, Parameter, Real

Point = Mapping[str, Scalar]
"""A value for every parameter, by name."""
LayerPolicy = Literal["shared", "per_module", "all"]

TARGET_SEPARATOR = "+"


@dataclass(frozen=True)
class MethodChoice:
    """A PEFT method that a slot may hold, and what a space must know of it."""

    method: str
    sizes: tuple[int, ...]
    """Sizes in rising order; 0 is off."""
    placed_in_layers: bool = True
    """Whether the layer mask concerns it."""
    takes_targets: bool = True
    """Whether the slot's targets concern it."""


@dataclass(frozen=True)
class ModuleSlot:
    """A place for one PEFT module: of one method, or of one out of several.

    Several methods share one size parameter, the level: 0 is off, and level k is a method's k-th size, or its largest if it has
    fewer. So a slot has the same parameters whichever method it holds.
    """

    name: str
    """Prefix of its parameters."""
    choices: tuple[MethodChoice, ...]
    targets: tuple[tuple[str, ...], ...] = ()
    """Choices of target roles. One choice is fixed, several are searched, none leaves each method's default."""
    options: tuple[tuple[str, tuple[Scalar, ...]], ...] = ()
    """Choices of each option; one choice is fixed."""

    @property
    def placed_in_layers(self) -> bool:
        """Whether the layer mask concerns any of its methods."""
        return any(choice.placed_in_layers for choice in self.choices)

    def parameters(self) -> Iterator[Parameter]:
        """Yield what is searched: the method and its level or its size, and targets and options with more than one choice."""
        if len(self.choices) > 1:
            yield Categorical(f"{self.name}.method", tuple(choice.method for choice in self.choices))
            yield Ordinal(f"{self.name}.level", tuple(range(max(len(choice.sizes) for choice in self.choices))))
        else:
            yield Ordinal(f"{self.name}.size", self.choices[0].sizes)
        if len(self.targets) > 1:
            yield Categorical(f"{self.name}.targets", tuple(map(TARGET_SEPARATOR.join, self.targets)))
        for option, choices in self.options:
            if len(choices) > 1:
                yield Categorical(f"{self.name}.{option}", choices)

    def module(self, point: Point, layers: tuple[int, ...]) -> PeftModule:
        """Return the module that a point describes, in the given layers."""
        choice, size = self._choose(point)
        joined = point.get(f"{self.name}.targets")
        targets = tuple(str(joined).split(TARGET_SEPARATOR)) if joined is not None else (self.targets[0] if self.targets else ())
        options = {option: point.get(f"{self.name}.{option}", choices[0]) for option, choices in self.options}
        return PeftModule(
            choice.method, size, layers if choice.placed_in_layers else None, targets if choice.takes_targets else (), options
        )

    def _choose(self, point: Point) -> tuple[MethodChoice, int]:
        if len(self.choices) == 1:
            return self.choices[0], int(point[f"{self.name}.size"])
        choice = next(choice for choice in self.choices if choice.method == point[f"{self.name}.method"])
        return choice, choice.sizes[min(int(point[f"{self.name}.level"]), len(choice.sizes) - 1)]


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
    layers: LayerPolicy = "shared"
    """One mask for all modules, one for each, or every layer for every module."""
    fixed_training: tuple[tuple[str, float], ...] = ()
    """Training hyper-parameters that are set and not searched."""

    def __post_init__(self) -> None:
        for slot in self.slots:
            if not slot.choices or not all(any(choice.sizes) for choice in slot.choices):
                raise InvalidInputError(f"{slot.name} needs a method, and a size other than 0", value=slot.choices)
        names = [parameter.name for parameter in self.parameters]
        if twice := {name for name in names if names.count(name) > 1}:
            raise InvalidInputError("every parameter of a space needs a name of its own", value=min(twice))

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All parameters: the slots', the layer flags', the training hyper-parameters'."""
        found = [parameter for slot in self.slots for parameter in slot.parameters()]
        flags = [Ordinal(name, (0, 1)) for mask in self._masks() for name in self._flags(mask)]
        return (*found, *flags, *self.training)

    @property
    def size(self) -> float:
        """Number of points, counting a real interval as one value."""
        return math.prod(parameter.n_values for parameter in self.parameters if not isinstance(parameter, Real))

    @property
    def width(self) -> int:
        """Number of coordinates d of an encoded point."""
        return sum(parameter.width for parameter in self.parameters)

    def configuration(self, point: Point) -> Configuration:
        """Read a point as a configuration.

        Raises:
            InvalidInputError: A parameter has no value or one outside its range.
        """
        self._require(point)
        modules = tuple(slot.module(point, self._layers_on(slot, point)) for slot in self.slots)
        training = {parameter.name: float(point[parameter.name]) for parameter in self.training}
        return Configuration(modules, dict(self.fixed_training) | training)

    def sample(self, rng: np.random.Generator) -> dict[str, Scalar]:
        """Draw a point, every parameter independently."""
        return {parameter.name: parameter.sample(rng) for parameter in self.parameters}

    def neighbours(self, point: Point, rng: np.random.Generator) -> list[dict[str, Scalar]]:
        """Return every point that differs from this one by one step of one parameter."""
        self._require(point)
        return [
            {**point, parameter.name: value} for parameter in self.parameters for value in parameter.neighbours(point[parameter.name], rng)
        ]

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
            parameter.encode(point[parameter.name])

    def _masks(self) -> tuple[str, ...]:
        placed = tuple(slot.name for slot in self.slots if slot.placed_in_layers)
        return {"all": (), "shared": ("",) if placed else (), "per_module": placed}[self.layers]

    def _flags(self, mask: str) -> list[str]:
        prefix = f"{mask}." if mask else ""
        return [f"{prefix}layers.{layer}" for layer in range(self.n_layers)]

    def _layers_on(self, slot: ModuleSlot, point: Point) -> tuple[int, ...]:
        if self.layers == "all":
            return tuple(range(self.n_layers))
        flags = self._flags(slot.name if self.layers == "per_module" else "")
        return tuple(layer for layer, name in enumerate(flags) if slot.placed_in_layers and point[name])
