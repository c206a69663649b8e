"""The table of task names."""

from collections.abc import Callable, Mapping

from autopeft.errors import InvalidInputError, UnknownNameError
from autopeft.tasks.benchmarks import BENCHMARKS
from autopeft.tasks.demo.generation import DEMO
from autopeft.tasks.entry import Entry, HubDataset, Role
from autopeft.tasks.glue import GLUE
from autopeft.tasks.table import Table
from autopeft.tasks.task import Task

_ENTRIES = {entry.task.name: entry for entry in (*GLUE, *BENCHMARKS, DEMO)}


def register_task(task: Task, *, hub: HubDataset | None = None, generate: Callable[[], Mapping[Role, Table]] | None = None) -> None:
    """Add a task, so that its name can be used wherever a built-in one can.

    Args:
        task: The task.
        hub: Where to download its examples when no data folder has them.
        generate: Makes its examples, if nothing has to be downloaded or read.

    Raises:
        InvalidInputError: The name is taken, or can't be the name of a folder.
    """
    if task.name in _ENTRIES:
        raise InvalidInputError("a task's name must not be taken", value=task.name)
    if not task.name or task.name in (".", "..") or set("/\\\0") & set(task.name):
        raise InvalidInputError("a task's name must be able to name a folder", value=task.name)
    _ENTRIES[task.name] = Entry(task, hub, generate)


def task_names() -> tuple[str, ...]:
    """Return every registered name, sorted."""
    return tuple(sorted(_ENTRIES))


def get_task(name: str) -> Task:
    """Return a registered task.

    Raises:
        UnknownNameError: No task has this name; the message names near matches.
    """
    return find(name).task


def find(name: str) -> Entry:
    """Return a registered task with its sources.

    Raises:
        UnknownNameError: No task has this name; the message names near matches.
    """
    if name not in _ENTRIES:
        raise UnknownNameError("task", name, _ENTRIES)
    return _ENTRIES[name]
