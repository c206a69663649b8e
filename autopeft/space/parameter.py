"""The kinds of parameter a search space is made of.

A parameter maps its values to coordinates in [0, 1], one or several per parameter, and back to the nearest value; samplers see
only coordinates, so that "one step away" means the same for a rank and for a learning rate.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from autopeft.configuration import Scalar
from autopeft.errors import InvalidInputError


class Parameter(Protocol):
    """One dimension of a search space."""

    @property
    def name(self) -> str:
        """Name, unique in its space."""

    @property
    def width(self) -> int:
        """Number of coordinates."""

    @property
    def n_values(self) -> float:
        """Number of values; infinite for a real interval."""

    def sample(self, rng: np.random.Generator) -> Scalar:
        """Draw a value uniformly (log-uniformly on a log scale)."""

    def neighbours(self, value: Scalar, rng: np.random.Generator) -> list[Scalar]:
        """Return the values one step away, never the value itself."""

    def check(self, value: Scalar) -> None:
        """Raise an `InvalidInputError` unless the value is one of the parameter's."""

    def encode(self, value: Scalar) -> list[float]:
        """Return the value's coordinates, `width` numbers in [0, 1]."""

    def decode(self, coordinates: Sequence[float]) -> Scalar:
        """Return the value nearest to the coordinates."""


OFF_GAP = 3
"""Steps that lie between off and the smallest size, beyond the one that there is."""


@dataclass(frozen=True)
class Ordinal:
    """An ordered list of values, such as sizes or a layer's flag; neighbours are the next values up and down, and the first.

    The first value counts as a neighbour of all because it is "off" where there is an off: a module can leave in one step.

    Raises:
        InvalidInputError: There is no value, or a value stands twice.
    """

    name: str
    values: tuple[float, ...]
    first_is_off: bool = False
    """Whether the first value means "none at all": it is encoded apart from the others, for from none to the smallest is a long way."""

    def __post_init__(self) -> None:
        if not self.values or len(set(self.values)) != len(self.values):
            raise InvalidInputError(f"{self.name} needs at least one value and no value twice", value=self.values)

    @property
    def width(self) -> int:
        """Number of coordinates: 1."""
        return 1

    @property
    def n_values(self) -> float:
        """Number of values."""
        return len(self.values)

    def sample(self, rng: np.random.Generator) -> float:
        """Draw a value uniformly."""
        return self.values[int(rng.integers(len(self.values)))]

    def neighbours(self, value: Scalar, rng: np.random.Generator) -> list[Scalar]:
        """Return the next values down and up, and the first."""
        at = self.index(value)
        return [self.values[i] for i in sorted({at - 1, at + 1, 0} - {at}) if 0 <= i < len(self.values)]

    def check(self, value: Scalar) -> None:
        """Raise an `InvalidInputError` unless the value is in the list."""
        self.index(value)

    def encode(self, value: Scalar) -> list[float]:
        """Return the value's rank, scaled to [0, 1]; before the second value there may be a gap."""
        return self._coordinates[self.index(value)]

    def decode(self, coordinates: Sequence[float]) -> float:
        """Return the value whose scaled rank is nearest."""
        place = min(1.0, max(0.0, coordinates[0])) * (len(self.values) - 1 + self._gap)
        return self.values[0 if 2 * place < 1 + self._gap else max(1, round(place) - self._gap)] if self._gap else self.values[round(place)]

    @cached_property
    def _coordinates(self) -> list[list[float]]:
        """The coordinates of each rank."""
        last = max(1, len(self.values) - 1 + self._gap)
        return [[(rank + self._gap * (rank > 0)) / last] for rank in range(len(self.values))]

    @cached_property
    def _gap(self) -> int:
        return OFF_GAP if self.first_is_off and len(self.values) > 1 else 0

    def index(self, value: Scalar) -> int:
        """Return the value's rank.

        Raises:
            InvalidInputError: The value is not one of the parameter's.
        """
        rank = self._ranks.get(value)
        if rank is None or value is True or value is False:
            raise InvalidInputError(f"{self.name} must be one of {', '.join(map(str, self.values))}", value=value)
        return rank

    @cached_property
    def are_ranks(self) -> bool:
        """Whether every value is its own rank, as a layer's flag is."""
        return self.values == tuple(range(len(self.values)))

    @cached_property
    def _ranks(self) -> dict[Scalar, int]:
        return {value: rank for rank, value in enumerate(self.values)}


@dataclass(frozen=True)
class Categorical:
    """Values without an order, one coordinate each; every other value is a neighbour.

    Raises:
        InvalidInputError: There is no value, or a value stands twice.
    """

    name: str
    values: tuple[Scalar, ...]

    def __post_init__(self) -> None:
        if not self.values or len(set(self.values)) != len(self.values):
            raise InvalidInputError(f"{self.name} needs at least one value and no value twice", value=self.values)

    @property
    def width(self) -> int:
        """Number of coordinates: one for each value (one-hot)."""
        return len(self.values)

    @property
    def n_values(self) -> float:
        """Number of values."""
        return len(self.values)

    def sample(self, rng: np.random.Generator) -> Scalar:
        """Draw a value uniformly."""
        return self.values[int(rng.integers(len(self.values)))]

    def neighbours(self, value: Scalar, rng: np.random.Generator) -> list[Scalar]:
        """Return all other values."""
        self.check(value)
        return [other for other in self.values if other != value]

    def check(self, value: Scalar) -> None:
        """Raise an `InvalidInputError` unless the value is one of them."""
        if value not in self.values:
            raise InvalidInputError(f"{self.name} must be one of {', '.join(map(repr, self.values))}", value=value)

    def encode(self, value: Scalar) -> list[float]:
        """Return the one-hot coordinates."""
        self.check(value)
        return [float(value == other) for other in self.values]

    def decode(self, coordinates: Sequence[float]) -> Scalar:
        """Return the value with the largest coordinate."""
        return self.values[int(np.argmax(coordinates))]


@dataclass(frozen=True)
class Real:
    """An interval of real numbers, on a log scale if `log`; neighbours are random steps of about a tenth of its length.

    Raises:
        InvalidInputError: The bounds are not finite, not in order, or not positive on a log scale.
    """

    name: str
    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise InvalidInputError(f"{self.name} needs finite bounds with low < high", value=(self.low, self.high))
        if self.log and self.low <= 0:
            raise InvalidInputError(f"{self.name} is on a log scale, so low must be above 0", value=self.low)

    @property
    def width(self) -> int:
        """Number of coordinates: 1."""
        return 1

    @property
    def n_values(self) -> float:
        """Infinite."""
        return math.inf

    def sample(self, rng: np.random.Generator) -> float:
        """Draw a value uniformly, log-uniformly on a log scale."""
        return self.decode([float(rng.uniform())])

    def neighbours(self, value: Scalar, rng: np.random.Generator) -> list[Scalar]:
        """Return two random steps down and two up, or one-sided steps at a bound."""
        at = self.encode(value)[0]
        steps = np.abs(rng.normal(0.0, 0.1, size=2))
        moved = {min(1.0, max(0.0, at + sign * float(step))) for step in steps for sign in (-1, 1)}
        return [self.decode([coordinate]) for coordinate in sorted(moved - {at})]

    def check(self, value: Scalar) -> None:
        """Raise an `InvalidInputError` if the value lies outside."""
        if not self.low <= float(value) <= self.high:
            raise InvalidInputError(f"{self.name} must lie between {self.low:g} and {self.high:g}", value=value)

    def encode(self, value: Scalar) -> list[float]:
        """Return the value's position between the bounds.

        Raises:
            InvalidInputError: The value lies outside.
        """
        self.check(value)
        number = float(value)
        low, high = self._scale(self.low), self._scale(self.high)
        return [(self._scale(number) - low) / (high - low)]

    def decode(self, coordinates: Sequence[float]) -> float:
        """Return the value at a position between the bounds."""
        low, high = self._scale(self.low), self._scale(self.high)
        scaled = low + min(1.0, max(0.0, coordinates[0])) * (high - low)
        return min(self.high, max(self.low, math.exp(scaled) if self.log else scaled))

    def _scale(self, value: float) -> float:
        return math.log(value) if self.log else value


def first_value(parameter: Parameter) -> Scalar:
    """Return the value at the beginning of a parameter's range."""
    return parameter.decode(parameter.width * [0.0])
