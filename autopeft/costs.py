"""What training costs: one record, with the same names wherever a training is remembered and in every file."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

Number = TypeVar("Number", int, float)


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What a training took, or several together; None where it was not recorded.

    Trials, confirmations and seeds of a retraining derive from it: what they cost are fields of theirs. One that fails has no costs.
    """

    examples_seen: int | None = None
    """Training examples processed, repeats counted, those within a step too: a measure that no other work on the machine changes."""
    seconds: float | None = None
    """Wall-clock seconds of the whole training: injection, steps, evaluation."""
    train_seconds: float | None = None
    """Wall-clock seconds of the training steps alone."""
    cpu_seconds: float | None = None
    """Processor seconds of the worker, all threads together."""
    gpu_seconds: float | None = None
    """Wall-clock seconds with a GPU at hand; 0 on a machine without."""
    peak_bytes: int | None = None
    """Largest memory in use."""
    n_packed: int | None = None
    """Most trainings that were under way in the worker at once, this one counted: it has its share of each second."""

    def cost_fields(self) -> dict[str, Any]:
        """Return all costs by name."""
        return {name: getattr(self, name) for name in COST_NAMES}

    def cost_row(self) -> dict[str, Any]:
        """Return the form that tables and files for programs use: seconds to the millisecond."""
        return {name: round(value, 3) if isinstance(value, float) else value for name, value in self.cost_fields().items()}


COST_NAMES = tuple(field.name for field in fields(Costs))


def recorded_costs(source: Any) -> dict[str, Any]:
    """Return by name the costs that are an object's attributes, or a mapping's entries; none that is missing or None."""
    found = {name: source.get(name) if isinstance(source, Mapping) else getattr(source, name, None) for name in COST_NAMES}
    return {name: value for name, value in found.items() if value is not None}


def total(parts: Iterable[Costs]) -> Costs:
    """Return what several trainings cost together: sums, of memory and of company the most; None where none recorded it."""
    parts = list(parts)
    most = {name: _most(getattr(one, name) for one in parts) for name in ("peak_bytes", "n_packed")}
    sums = {name: _sum(getattr(one, name) for one in parts) for name in COST_NAMES if name not in most}
    return Costs(**sums, **most)


def _sum(values: Iterable[Number | None]) -> Number | None:
    found = [value for value in values if value is not None]
    return sum(found[1:], found[0]) if found else None


def _most(values: Iterable[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)
