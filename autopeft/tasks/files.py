"""A task from the user's own files."""

import os
from collections.abc import Sequence
from pathlib import Path

from autopeft.errors import InvalidInputError
from autopeft.tasks.assembly import assemble
from autopeft.tasks.families import family_class, family_names
from autopeft.tasks.family import Columns, Family
from autopeft.tasks.reading import read_table
from autopeft.tasks.table import Table
from autopeft.tasks.task import TaskData

PathLike = str | os.PathLike[str]


def load_files(
    train: PathLike,
    validation: PathLike | None = None,
    test: PathLike | None = None,
    *,
    text: str | Sequence[str] = (),
    label: str | None = None,
    kind: str | None = None,
    language: str | None = None,
    name: str | None = None,
    with_test: bool = False,
) -> TaskData:
    """Load CSV, TSV, JSON, JSON Lines, Parquet or CoNLL files as a task.

    Args:
        train: The training data.
        validation: What to select by. None: a tenth of the training data, cut by a fixed seed.
        test: What to report on. None: another tenth of the training data.
        text: The columns that are read. Empty: those of the usual names, such as "text", "prompt" or "tokens".
        label: The column to predict. None: one of the usual names, such as "label", "completion" or "tags".
        kind: What kind of task it is, one of `family_names()`. None: inferred from columns and labels.
        language: Code of the language, such as "de", where a model must know it.
        name: What to call the task. None: the training file's name without its suffix.
        with_test: Whether to return the test data. The training data is the same either way.

    Raises:
        InvalidInputError: A file, column, text or label is missing or wrong; names the file, the line and the value.
        UnknownNameError: There is no such kind.
    """
    table = read_table(train)
    given = Columns((text,) if isinstance(text, str) else tuple(text), label)
    for column in (*given.inputs, *([label] if label else [])):
        table.column(column)
    family, columns = find_family(table, given, kind)
    task = family.make_task(table, name or Path(train).stem, columns)
    if language:
        task = family.in_language(task, language)
    files = {role: path for role, path in (("validation", validation), ("test", test)) if path is not None}
    return assemble(
        task,
        table,
        {role: read_table(path) for role, path in files.items()},
        ids={label_name: index for index, label_name in enumerate(task.labels)},
        why_missing={"validation": "no validation file was given", "test": "no test file was given"},
        with_test=with_test,
    )


def find_family(table: Table, given: Columns, kind: str | None) -> tuple[type[Family], Columns]:
    """Return what kind of task a table is, and the columns of it.

    Raises:
        InvalidInputError: It has no columns of the kind that is given, or of any.
        UnknownNameError: There is no such kind.
    """
    families = [family_class(name) for name in ([kind] if kind else family_names())]
    for family in families:
        columns = family.find_columns(table, given)
        if columns is not None and (kind or family.claims(table, columns)):
            return family, columns
    need = families[0].columns_in_words if kind else "columns of usual names"
    raise InvalidInputError(
        f"{table.source}: which columns to read and what to predict isn't clear without {need}",
        value=", ".join(table.columns),
        remedy="Say which: --text COLUMN (or two: a,b) is read, and --label COLUMN is predicted.",
    )
