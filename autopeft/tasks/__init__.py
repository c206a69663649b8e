"""What to learn and how it is scored: registered tasks, own files, splits and metrics.

Importing this is cheap: readers, the hub and everything heavy are imported by the functions that use them.
"""

from autopeft.tasks.dataset import load_dataset
from autopeft.tasks.encoded import Batch, Encoded
from autopeft.tasks.entry import HubDataset
from autopeft.tasks.families import family_class, family_names, family_of
from autopeft.tasks.family import Family
from autopeft.tasks.files import load_files
from autopeft.tasks.metric import Metric, early_metrics, rank
from autopeft.tasks.registry import get_task, register_task, task_names
from autopeft.tasks.sources import load
from autopeft.tasks.table import Table
from autopeft.tasks.task import Split, Task, TaskData
from autopeft.tasks.text_scores import register_text_metric

__all__ = [
    "Batch",
    "Encoded",
    "Family",
    "HubDataset",
    "Metric",
    "Split",
    "Table",
    "Task",
    "TaskData",
    "early_metrics",
    "family_class",
    "family_names",
    "family_of",
    "get_task",
    "load",
    "load_dataset",
    "load_files",
    "rank",
    "register_task",
    "register_text_metric",
    "task_names",
]
