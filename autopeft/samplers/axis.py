"""One parameter of an Optuna study as ordered or unordered levels, or as a position between bounds.

Integers of up to `MAX_LEVELS` values are ordered levels, and so are choices that are all numbers or truth values, by their size; longer
ranges and floats are positions in [0, 1], on a log scale where their distribution says so, and are rounded when written.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from autopeft.space.parameter import OFF_GAP

MAX_LEVELS = 64
LEVEL_STEPS = (-2, -1, 1, 2)
POSITION_STEPS = (-0.1, -0.05, -0.02, 0.02, 0.05, 0.1)
DIGITS = 2
"""Of a position: a hundredth of a range apart is another point, closer is hidden by noise."""


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

    @cached_property
    def is_categorical(self) -> bool:
        """Whether its levels have no order."""
        return isinstance(self.distribution, CategoricalDistribution) and not _are_numbers(self.distribution.choices)

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
                return choices[int(at)] if self.is_categorical else sorted(choices)[int(at)]  # type: ignore[type-var]
            case IntDistribution(low=low, high=high, step=step):
                steps = at if self.n_values else (self._value(at) - low) / step
                return min(high, max(low, low + step * round(steps)))
            case FloatDistribution(low=low, high=high, step=step):
                number = self._value(at)
                return min(high, max(low, number if step is None else low + step * round((number - low) / step)))

    def read(self, value: Any) -> float:
        """Return the level or position of a value."""
        if self.n_values:
            return self._levels[value]
        low, high = self._ends
        return (self._scale(value) - low) / (high - low)

    @cached_property
    def _levels(self) -> dict[Any, float]:
        """The level of each value; the first of equal ones."""
        return {value: float(level) for level, value in reversed(list(enumerate(self.values)))}

    def _value(self, position: float) -> float:
        low, high = self._ends
        scaled = low + position * (high - low)
        return math.exp(scaled) if self._log else scaled

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

    @property
    def is_flag(self) -> bool:
        """Whether it is on or off: of two ordered levels the lower is 0, or false."""
        return self.n_values == 2 and not self.is_categorical and self.values[0] == 0

    @cached_property
    def gap(self) -> int:
        """Levels that the first is further away than the others are from each other: from off, a 0 of several, to on is a long way."""
        return OFF_GAP if self.n_values > 2 and not self.is_categorical and self.values[0] == 0 else 0

    @cached_property
    def decades(self) -> float:
        """Powers of ten between the bounds of positions on a log scale; 0 for everything else."""
        low, high = self._ends if self._log and not self.n_values else (0.0, 0.0)
        return (high - low) / math.log(10)

    @cached_property
    def width(self) -> int:
        """Number of coordinates: one for each category, else one."""
        return self.n_values if self.is_categorical else 1

    def round(self, at: float) -> float:
        """Return the level or position to the digits in which points differ."""
        return at if self.n_values else round(at, DIGITS)

    def moves(self, at: float) -> list[float]:
        """Return the levels or positions one step away: any other category, one or two levels up or down or the first, a short way."""
        if self.is_categorical:
            return [float(other) for other in range(self.n_values) if other != at]
        if self.n_values:
            return sorted({at + step for step in LEVEL_STEPS if 0 <= at + step < self.n_values} | ({0.0} - {at}))
        return sorted({min(1.0, max(0.0, at + step)) for step in POSITION_STEPS} - {at})


def _are_numbers(choices: Sequence[object]) -> bool:
    """Return whether choices can be put in an order: different numbers or truth values."""
    return len(set(choices)) == len(choices) and all(isinstance(one, int | float) and not math.isnan(one) for one in choices)
