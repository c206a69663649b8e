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
class ModuleSlot:
    """One PEFT method that a space may switch on."""

    name: str
    """Prefix of its parameters; the method's name unless the method has several slots."""
    method: str
    sizes: tuple[int, ...]
    """Sizes in rising order; 0 is off."""
    targets: tuple[tuple[str, ...], ...] = ()
    """Choices of target roles. One choice is fixed, several are searched, none leaves the method's default."""
    options: tuple[tuple[str, tuple[Scalar, ...]], ...] = ()
    """Choices of each option; one choice is fixed."""
    placed_in_layers: bool = True
    """Whether the layer mask concerns it."""

    def parameters(self) -> Iterator[Parameter]:
        """Yield what is searched: the size, and targets and options with more than one choice."""
        yield Ordinal(f"{self.name}.size", self.sizes)
        if len(self.targets) > 1:
            yield Categorical(f"{self.name}.targets", tuple(map(TARGET_SEPARATOR.join, self.targets)))
        for option, choices in self.options:
            if len(choices) > 1:
                yield Categorical(f"{self.name}.{option}", choices)

    def module(self, point: Point, layers: tuple[int, ...]) -> PeftModule:
        """Return the module that a point describes, in the given layers."""
        joined = point.get(f"{self.name}.targets")
        targets = tuple(str(joined).split(TARGET_SEPARATOR)) if joined is not None else (self.targets[0] if self.targets else ())
        options = {option: point.get(f"{self.name}.{option}", choices[0]) for option, choices in self.options}
        size = int(point[f"{self.name}.size"])
        return PeftModule(self.method, size, layers if self.placed_in_layers else None, targets, options)


@dataclass(frozen=True)
class SearchSpace:
    """What a search may choose from, for a backbone of a known number of layers.

    Raises:
        InvalidInputError: Two parameters share a name, or a slot has no size other than 0.
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
        names = [parameter.name for parameter in self.parameters]
        if twice := {name for name in names if names.count(name) > 1}:
            raise InvalidInputError("every parameter of a space needs a name of its own", value=min(twice))
        for slot in self.slots:
            if not any(slot.sizes):
                raise InvalidInputError(f"{slot.name} needs a size other than 0", value=slot.sizes)

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
