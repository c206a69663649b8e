"""Reading what a trainable reports."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from autopeft.objectives import Direction, Objective
from autopeft.study.record import RungResult

PROGRESS = "progress"
"""What a result calls the share of a trial's budget that is done; where it is missing, whatever a trial reports last is its end."""


EARLY_METRICS: Mapping[str, Direction] = {"average_precision": "maximize", "loss": "minimize"}
"""What a trainable of anyone's may report that ranks early: it has no family that could say so."""


def share_done(result: Mapping[str, Any], name: str = PROGRESS, whole: float = 1.0) -> float:
    """Return the share of its budget that a trial has done, at most 1."""
    return min(1.0, float(result.get(name, whole)) / whole)


def values_of(result: Mapping[str, Any], objectives: Sequence[Objective]) -> list[float] | None:
    """Return the objectives' values; None if one is missing or not finite."""
    values = [result.get(objective.name) for objective in objectives]
    return [float(value) for value in values] if all(_is_number(value) for value in values) else None  # type: ignore[arg-type]


def early_losses(result: Mapping[str, Any], objectives: Sequence[Objective], share: float) -> tuple[float, ...]:
    """Return what a result before the end tells of each objective, smaller is better."""
    numbers = {name: float(value) for name, value in result.items() if _is_number(value)}
    return RungResult(share, numbers, numbers).early_losses(objectives, EARLY_METRICS)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
