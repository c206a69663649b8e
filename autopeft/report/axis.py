"""The axis of a cost, such as trainable parameters: logarithmic, with a place of its own for none at all.

Legend: p is a cost, x its position on the axis. x = log10(p) for p > 0; p = 0 (as when only the head is trained) has no logarithm
and stands at `zero`, left of everything else. Drawing on these positions keeps both plotting libraries alike.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from autopeft.objectives import ZERO_GAP_DECADES
from autopeft.report.formatting import percentage, short_number

MARGIN = 0.12
"""Decades left free at both ends."""
MAX_TICKS = 9


@dataclass(frozen=True)
class Tick:
    """A labelled place on an axis."""

    position: float
    label: str
    detail: str = ""
    """Second line of the label."""


@dataclass(frozen=True)
class CostAxis:
    """Where costs stand and how the axis is labelled."""

    ticks: tuple[Tick, ...]
    minor: tuple[float, ...]
    """Positions of unlabelled grid lines."""
    limits: tuple[float, float]
    zero: float | None
    """Position of no cost; None if no trial has none."""

    @classmethod
    def over(cls, costs: Sequence[float], whole: int | None = None, nothing: str = "") -> "CostAxis":
        """Lay the axis over some costs, of which there is at least one.

        Args:
            costs: What must find its place.
            whole: What the shares below the ticks refer to; None: there are none.
            nothing: What a cost of 0 means, in a word or two.
        """
        logs = [math.log10(cost) for cost in costs if cost > 0] or [0.0]
        low, high = min(logs), max(logs)
        zero = low - ZERO_GAP_DECADES if 0 in costs else None
        left = low - MARGIN if zero is None else zero - MARGIN
        labelled, minor = _grid(low - MARGIN, high + MARGIN)
        ticks = [Tick(math.log10(cost), short_number(cost), percentage(cost, whole) if whole else "") for cost in labelled]
        if zero is not None:
            ticks = [Tick(zero, "0", nothing), *ticks]
        return cls(tuple(ticks), tuple(minor), (left, high + MARGIN), zero)

    @property
    def break_position(self) -> float | None:
        """Where the place of zero ends and the logarithmic scale begins; None without a place of zero."""
        return None if self.zero is None else self.zero + ZERO_GAP_DECADES / 2

    def position(self, cost: float) -> float:
        """Return where a cost stands."""
        if cost > 0:
            return math.log10(cost)
        assert self.zero is not None, "the axis was laid without a place for zero"
        return self.zero


def _grid(low: float, high: float) -> tuple[list[float], list[float]]:
    """Return the costs to label, the finest set that is not too many, and the positions of 2 to 9 times each power of 10."""
    decades = range(math.floor(low), math.ceil(high) + 1)
    steps = [(digit, float(f"{digit}e{decade}")) for decade in decades for digit in range(1, 10)]
    inside = [(digit, cost) for digit, cost in steps if low <= math.log10(cost) <= high]
    choices = [[cost for digit, cost in inside if digit in digits] for digits in (range(1, 10), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,))]
    labelled = next((choice for choice in choices if len(choice) <= MAX_TICKS), choices[-1])
    return labelled, [math.log10(cost) for _, cost in inside if cost not in labelled]
