"""Known values as losses of about [0, 1], on a log scale where they are costs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class KnownScale:
    """The scale of one known objective: logarithmic if all its values are positive, as parameters and bytes are."""

    sign: float
    """Turns a value into a loss."""
    floor: float
    """Smallest value that the logarithm takes; 0 for a linear scale."""
    low: float
    """Loss that becomes 0."""
    width: float
    """Range of losses that becomes 1."""

    @classmethod
    def over(cls, values: Array, sign: float) -> "KnownScale":
        """Return the scale over which the finite values among those given reach from 0 to 1."""
        finite = values[np.isfinite(values)]
        if not len(finite):
            return cls(sign, 0.0, 0.0, 1.0)
        floor = max(0.0, float(finite.min()))
        raw = cls(sign, floor, 0.0, 1.0)(finite)
        return cls(sign, floor, float(raw.min()), float(np.ptp(raw)) or 1.0)

    def __call__(self, values: Array) -> Array:
        """Return the losses of values."""
        raw = self.sign * (np.log(np.maximum(values, self.floor)) if self.floor else values)
        result: Array = (raw - self.low) / self.width
        return result
