"""A task from the user's own files."""

import os
from collections.abc import Sequence
from pathlib import Path

from autopeft.budget import Budget
from autopeft.tasks.assembly import assemble
from autopeft.tasks.columns import class_names, infer_kind
from autopeft.tasks.reading import read_table
from autopeft.tasks.table import Table
from autopeft.tasks.task import Kind, Task, TaskData

PathLike = str | os.PathLike[str]
_LOW_COST = Budget(train_examples=2000, epochs=2, evaluation_examples=500, batch_size=16)


def load_files(
    train: PathLike,
    validation: PathLike | None = None,
    test: PathLike | None = None,
    *,
    text: str | Sequence[str],
    label: str,
    kind: Kind | None = None,
    name: str | None = None,
    with_test: bool = False,
) -> TaskData:
    """Load CSV, TSV, JSON, JSON Lines or Parquet files as a task.

    Args:
        train: The training data.
        validation: What to select by. None: a tenth of the training data, cut by a fixed seed.
        test: What to report on. None: another tenth of the training data.
        text: The one or two text columns.
        label: The column to predict.
        kind: "classification" or "regression". None: inferred from the training labels; booleans, names and whole numbers with
            few distinct values are classes.
        name: What to call the task. None: the training file's name without its suffix.
        with_test: Whether to return the test data. The training data is the same either way.

    Raises:
        InvalidInputError: A file, column, text or label is missing or wrong; names the file, the line and the value.
    """
    table = read_table(train)
    texts = (text,) if isinstance(text, str) else tuple(text)
    for column in (*texts, label):
        table.column(column)
    task = _task(table, texts, label, kind, name or Path(train).stem)
    files = {role: path for role, path in (("validation", validation), ("test", test)) if path is not None}
    return assemble(
        task,
        table,
        {role: read_table(path) for role, path in files.items()},
        ids={label_name: index for index, label_name in enumerate(task.labels)},
        why_missing={"validation": "no validation file was given", "test": "no test file was given"},
        with_test=with_test,
    )


def _task(table: Table, texts: tuple[str, ...], label: str, kind: Kind | None, name: str) -> Task:
    kind = kind or infer_kind(table, label)
    if kind == "regression":
        return Task(name, kind, texts, label, (), "spearman", ("spearman", "pearson", "loss"), _LOW_COST)
    labels = class_names(table, label)
    # Neither class of an own file is known to be the positive one: macro F1 treats them alike.
    extra = ("average_precision",) if len(labels) == 2 else ()
    return Task(name, kind, texts, label, labels, "accuracy", ("accuracy", "macro_f1", *extra, "loss"), _LOW_COST)
