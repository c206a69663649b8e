"""What the registry holds per task: the task itself and where its examples can come from besides a folder."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from autopeft.tasks.table import Table
from autopeft.tasks.task import Task

Role = str
"""What a split is for, one of `ROLES`."""
ROLES: tuple[Role, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class HubDataset:
    """A data set on the Hugging Face hub."""

    id: str
    """Owner and name, such as "nyu-mll/glue"."""
    configuration: str | None = None
    """Which of its configurations."""
    splits: Mapping[Role, str] = field(default_factory=lambda: {role: role for role in ROLES}, hash=False)
    """The hub's name of the split that serves each role, and which part of it: "train[:20000]"; "validation" and "test" may be missing."""
    is_described: bool = True
    """Whether a registered task says what is in it; else splits of usual names serve the roles that `splits` lacks, and classes that the
    data set names are called so."""


@dataclass(frozen=True)
class Entry:
    """One registered task."""

    task: Task
    hub: HubDataset | None = None
    """Where to download the examples. None: from folders only."""
    generate: Callable[[], Mapping[Role, Table]] | None = None
    """Makes the examples without any download. Goes before folders and the hub."""
