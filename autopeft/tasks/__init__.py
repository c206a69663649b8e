"""What to learn and how it is scored: registered tasks, own files, splits and metrics.

Importing this is cheap: readers, the hub and everything heavy are imported by the functions that use them.
"""

from autopeft.tasks.entry import HubDataset
from autopeft.tasks.files import load_files
from autopeft.tasks.registry import get_task, register_task, task_names
from autopeft.tasks.sources import load
from autopeft.tasks.table import Table
from autopeft.tasks.task import Kind, Split, Task, TaskData, compute_metrics

__all__ = [
    "HubDataset",
    "Kind",
    "Split",
    "Table",
    "Task",
    "TaskData",
    "compute_metrics",
    "get_task",
    "load",
    "load_files",
    "register_task",
    "task_names",
]
