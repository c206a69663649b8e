"""What the registry holds per task: the task itself and where its examples can come from besides a folder."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from autopeft.tasks.table import Table
from autopeft.tasks.task import Task

Role = str
"""What a split is for: "train", "validation" or "test"."""


@dataclass(frozen=True)
class HubDataset:
    """A data set on the Hugging Face hub."""

    id: str
    """Owner and name, such as "nyu-mll/glue"."""
    configuration: str | None = None
    """Which of its configurations."""
    splits: Mapping[Role, str] = field(default_factory=lambda: {role: role for role in ("train", "validation", "test")}, hash=False)
    """The hub's name of the split that serves each role; "validation" and "test" may be missing."""


@dataclass(frozen=True)
class Entry:
    """One registered task."""

    task: Task
    hub: HubDataset | None = None
    """Where to download the examples. None: from folders only."""
    generate: Callable[[], Mapping[Role, Table]] | None = None
    """Makes the examples without any download. Goes before folders and the hub."""
