"""The axis of trainable parameters: logarithmic, with a place of its own for none at all.

Legend: p is a count of parameters, x its position on the axis. x = log10(p) for p > 0; p = 0 (only the head is trained) has no
logarithm and stands at `zero`, left of everything else. Drawing on these positions keeps both plotting libraries alike.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from autopeft.report.words import percentage, short_count

ZERO_GAP = 0.45
"""Decades between the smallest count and the place of zero."""
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
class ParameterAxis:
    """Where counts of parameters stand and how the axis is labelled."""

    ticks: tuple[Tick, ...]
    minor: tuple[float, ...]
    """Positions of unlabelled grid lines."""
    limits: tuple[float, float]
    zero: float | None
    """Position of no parameters; None if no trial has none."""

    @classmethod
    def over(cls, counts: Sequence[int], backbone_parameters: int | None) -> "ParameterAxis":
        """Lay the axis over some counts, of which there is at least one."""
        logs = [math.log10(count) for count in counts if count > 0] or [0.0]
        low, high = min(logs), max(logs)
        zero = low - ZERO_GAP if 0 in counts else None
        left = low - MARGIN if zero is None else zero - MARGIN
        labelled, minor = _grid(low - MARGIN, high + MARGIN)
        ticks = [Tick(math.log10(count), short_count(count), _share(count, backbone_parameters)) for count in labelled]
        if zero is not None:
            ticks = [Tick(zero, "0", "head only"), *ticks]
        return cls(tuple(ticks), tuple(minor), (left, high + MARGIN), zero)

    @property
    def break_position(self) -> float | None:
        """Where the place of zero ends and the logarithmic scale begins; None without a place of zero."""
        return None if self.zero is None else self.zero + ZERO_GAP / 2

    def position(self, count: int) -> float:
        """Return where a count stands."""
        if count > 0:
            return math.log10(count)
        assert self.zero is not None, "the axis was laid without a place for zero"
        return self.zero


def _share(count: int, whole: int | None) -> str:
    return percentage(count, whole) if whole else ""


def _grid(low: float, high: float) -> tuple[list[int], list[float]]:
    """Return the counts to label, the finest set that is not too many, and the positions of 2 to 9 times each power of 10."""
    decades = range(max(0, math.floor(low)), math.ceil(high) + 1)
    steps = [step * 10**decade for decade in decades for step in range(1, 10)]
    inside = [count for count in steps if low <= math.log10(count) <= high]
    choices = [
        [count for count in inside if int(str(count)[0]) in digits] for digits in (range(1, 10), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,))
    ]
    labelled = next((choice for choice in choices if len(choice) <= MAX_TICKS), choices[-1])
    return labelled, [math.log10(count) for count in inside if count not in labelled]
