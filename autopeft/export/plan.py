"""What a target answers when it is asked for a trial: what would be lost, and how to write the rest."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from autopeft.tasks import Task


@dataclass(frozen=True)
class ExportPlan:
    """An export that has not been written yet."""

    write: Callable[[Path], Task]
    """Writes it into an empty folder. Returns the trial's task as what was written answers it (see `Family.fold`)."""
    lost: tuple[str, ...] = ()
    """In words, everything of the trial that the export would not hold. Empty: it is faithful."""
