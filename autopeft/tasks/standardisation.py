"""Numbers to be predicted, moved and scaled to what a head learns fast: Adam's steps have the size of the learning rate in any unit.

Legend:
    y      n, the numbers of the training split
    z      n, the same as a model learns them
    c, s   centre and scale

    z = (min(max(y, lowest), highest) - c) / s,        y = c + s z

c is the mean of y, s the power of two that is nearest to its standard deviation: with it scaling is exact in floating point, there and
back. Where a few numbers lie far outside all others (see `OUTLYING`), c and s are the others' and in training those few count as
`lowest` or `highest`: an error squared of a mistyped price would else outweigh all there is to learn. Metrics are of y as it is.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

OUTLYING = 20.0
"""Outside is what lies beyond the quartiles by more than so many times the distance between them."""
RARE = 0.001
"""If a larger share than this, or more than one, lie there, they aren't outliers: the numbers just reach far."""
SMALLEST, LARGEST = -1022, 1023
"""Exponents that a scale may have."""
MOST_OFFSET = 2.0**10
"""A centre of so many scales still leaves float32, of 24 bits, 14 for what differs."""
FLOAT32 = (2.0**-100, 2.0**100)
"""Scales at which weights in float32 neither vanish nor overflow."""


@dataclass(frozen=True)
class Standardisation:
    """How numbers are standardised; by default not at all."""

    centre: float = 0.0
    """c."""
    scale: float = 1.0
    """s, a power of two."""
    lowest: float | None = None
    """What smaller numbers count as in training. None: as what they are."""
    highest: float | None = None
    """What larger ones count as."""

    @classmethod
    def over(cls, numbers: Floats) -> Self:
        """Return the standardisation of numbers that aren't all equal."""
        exponent = math.frexp(float(np.abs(numbers).max()))[1]
        small = np.ldexp(numbers, -exponent)  # at most 1 in size, so that squares of the largest numbers there are stay finite
        quartiles = np.quantile(small, (0.25, 0.75))
        reach = OUTLYING * float(np.ptp(quartiles))
        low, high = float(quartiles[0]) - reach, float(quartiles[1]) + reach
        inside = (low <= small) & (small <= high)
        has_outliers = reach > 0 and 0 < len(small) - inside.sum() <= max(1, RARE * len(small))
        usual = small[inside] if has_outliers else small
        power = round(math.log2(float(usual.std()) or 1.0)) + exponent
        return cls(
            math.ldexp(float(usual.mean()), exponent),
            math.ldexp(1.0, min(LARGEST, max(SMALLEST, power))),
            math.ldexp(low, exponent) if has_outliers and small.min() < low else None,
            math.ldexp(high, exponent) if has_outliers and small.max() > high else None,
        )

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """Read what `to_settings` wrote; of settings without it, none."""
        return cls(**settings.get("standardisation", {}))

    def to_settings(self) -> dict[str, Any]:
        """Return it as settings of a task."""
        return {"standardisation": asdict(self)}

    def standardise(self, numbers: Floats) -> Floats:
        """Return z."""
        least = -np.inf if self.lowest is None else self.lowest
        most = np.inf if self.highest is None else self.highest
        with np.errstate(over="ignore"):
            result: Floats = np.clip(numbers, least, most) / self.scale - self.centre / self.scale
        return result

    def undo(self, standardised: Floats) -> Floats:
        """Return y."""
        with np.errstate(over="ignore"):
            result: Floats = self.centre + self.scale * standardised
        return result

    @property
    def fits_float32(self) -> bool:
        """Whether a model in float32 can predict y itself without losing what differs between its values."""
        return abs(self.centre) <= MOST_OFFSET * self.scale and FLOAT32[0] <= self.scale <= FLOAT32[1]
