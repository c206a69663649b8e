"""What stands above every table and plot of a run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from autopeft.budget import Budget


@dataclass(frozen=True)
class RunHeader:
    """A run in a few words. What the run directory doesn't tell is empty or None."""

    name: str
    task: str = ""
    model: str = ""
    budget: str = ""
    head_parameters: int | None = None
    """Parameters of the task head, trained in every trial and not counted in any trial's parameters."""
    backbone_parameters: int | None = None
    """Parameters of the frozen model, the whole that percentages refer to."""
    n_validation: int | None = None
    """Validation examples that every trial is measured on."""
    trivial_scores: Mapping[str, float] = field(default_factory=dict)
    """By objective, what one answer for all of them reaches; of those of which that is known."""
    full_trivial_scores: Mapping[str, float] = field(default_factory=dict)
    """The same of all validation examples, which confirmed trials are measured on."""

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], fallback_name: str) -> Self:
        """Read it from the content of run.json; only the name is needed, and the folder's name stands in for it.

        Raises:
            InvalidInputError: The budget is not one.
        """
        budget = settings.get("budget")
        examples = settings.get("examples") or {}
        measured = [examples.get("validation"), (budget or {}).get("evaluation_examples")]
        return cls(
            name=str(settings.get("name") or fallback_name),
            task=_name(settings.get("task")),
            model=_name(settings.get("model")),
            budget=Budget.from_dict(budget).describe(examples.get("train"), examples.get("validation")) if budget else "",
            head_parameters=settings.get("head_parameters"),
            backbone_parameters=settings.get("backbone_parameters"),
            n_validation=min((n for n in measured if n is not None), default=None) if measured[0] is not None else None,
            trivial_scores=dict(settings.get("trivial_scores") or {}),
            full_trivial_scores=dict(settings.get("full_trivial_scores") or {}),
        )

    def trivial(self, *, is_confirmed: bool) -> Mapping[str, float]:
        """Return what one answer for all reaches of the examples that a trial was measured on."""
        return {**self.trivial_scores, **(self.full_trivial_scores if is_confirmed else {})}  # earlier runs know of a trial's alone


def _name(entry: object) -> str:
    """Return the name of a task or model, stored as an object or as a bare name."""
    return str(entry.get("name", "")) if isinstance(entry, Mapping) else str(entry or "")
