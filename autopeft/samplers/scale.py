"""Objectives as losses of about [0, 1], on a log scale where they are costs."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Scale = Callable[[Array], Array]
"""Turns values of one objective into losses."""

COST_RATIO = 10.0
"""A minimised objective whose values are positive and whose largest is so many times its smallest is a cost: ratios matter."""

FLOOR_RATIO = 1000.0
"""A cost smaller by more than this than all that were seen counts as this much smaller: 0 has no logarithm."""


@dataclass(frozen=True)
class ObjectiveScale:
    """Turns values of one objective into losses."""

    sign: float
    """1 if smaller values are better, else -1."""
    floor: float = 0.0
    """Smallest value that the logarithm takes, below all that were seen; 0 for a linear scale."""
    low: float = 0.0
    """Loss that becomes 0."""
    width: float = 1.0
    """Range of losses that becomes 1."""

    @classmethod
    def over(cls, values: Array, sign: float, *, is_cost: bool | None = None) -> "ObjectiveScale":
        """Return the scale over which the finite values among those given reach from 0 to 1.

        Args:
            values: Values of the objective.
            sign: 1 if smaller values are better, else -1.
            is_cost: Whether ratios of its values matter. None: they do if positive values reach over `COST_RATIO`.
        """
        finite = values[np.isfinite(values)]
        if not len(finite):
            return cls(sign)
        spread = is_cost if is_cost is not None else bool(finite.min() <= finite.max() / COST_RATIO)  # a product may overflow
        floor = float(finite.min()) / FLOOR_RATIO if spread and sign > 0 and finite.min() > 0 else 0.0
        raw = cls(sign, floor)(finite)
        with np.errstate(over="ignore"):
            width = float(np.ptp(raw))
        return cls(sign, floor, float(raw.min()), width if 0 < width < np.inf else 1.0)

    def __call__(self, values: Array) -> Array:
        """Return the losses of values."""
        raw = self.sign * (np.log(np.maximum(values, self.floor)) if self.floor else values)
        result: Array = (raw - self.low) / self.width
        return result
