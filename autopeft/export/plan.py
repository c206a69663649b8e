"""What a target answers when it is asked for a trial: what would be lost, and how to write the rest."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from autopeft.tasks import Task


class Written(NamedTuple):
    """What was written into a folder."""

    task: Task
    """The trial's task as what was written answers it (see `Family.fold`)."""
    notes: tuple[str, ...] = ()
    """What whoever uses the folder should hear, one sentence each."""


@dataclass(frozen=True)
class ExportPlan:
    """An export that has not been written yet."""

    write: Callable[[Path], Written]
    """Writes it into an empty folder."""
    lost: tuple[str, ...] = ()
    """In words, everything of the trial that the export would not hold. Empty: it is faithful."""
