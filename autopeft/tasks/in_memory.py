"""Examples that Python code hands over in memory, as the content of a file that `read_table` reads.

A search, its workers and all that is done with its run later read one file: what was trained on can't differ from what is tested on.
"""

import io
import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import date, time
from decimal import Decimal
from typing import Any, Protocol

from autopeft.errors import InvalidInputError
from autopeft.paths import StrPath, absolute
from autopeft.tasks.entry import Role
from autopeft.tasks.reading import require_size


class DataFrame(Protocol):
    """A pandas DataFrame."""

    @property
    def columns(self) -> Any:
        """Names of the columns."""

    def notna(self) -> Any:
        """Where there is a value."""


class Dataset(Protocol):
    """A `datasets.Dataset`."""

    @property
    def features(self) -> Any:
        """Types of the columns."""

    @property
    def column_names(self) -> Any:
        """Names of the columns."""


Examples = StrPath | Sequence[Mapping[str, Any]] | DataFrame | Dataset
"""What a search takes examples from: a file or folder, a list of dictionaries, a pandas DataFrame, or a `datasets.Dataset`."""

Row = Mapping[str, Any]

MAX_BITS = 4096
"""Of a whole number. Python neither writes nor reads one of more than 4300 digits."""


def is_path(examples: object) -> bool:
    """Return whether examples are named, and not in memory."""
    return isinstance(examples, str | os.PathLike)


def is_table(examples: object) -> bool:
    """Return whether examples are a DataFrame or a `datasets.Dataset`."""
    pandas, datasets = sys.modules.get("pandas"), sys.modules.get("datasets")
    is_frame = pandas is not None and isinstance(examples, pandas.DataFrame)
    return is_frame or (datasets is not None and isinstance(examples, datasets.Dataset))


def to_rows(examples: object, role: Role) -> list[Row]:
    """Return examples in memory row by row, their cells as JSON has them, or bytes; see `to_file`, also for what it raises."""
    found: list[Row] = []
    for number, row in enumerate(_rows(examples, role), 1):
        try:
            found.append({name: _cell(value, role, number, name) for name, value in row.items()})
        except RecursionError:
            raise InvalidInputError(f"{role}, row {number}: a cell must not hold itself, or lists and dictionaries too deep") from None
    return found


def to_file(examples: object, role: Role) -> tuple[str, bytes]:
    """Return a file with examples, by its name and content: JSON Lines, or Parquet where cells hold bytes, as those of images do.

    Missing values (NaN, NA, None) become null, dates text, arrays lists, and classes of a `datasets.Dataset` their names. A `Path` is
    written from the root.

    Args:
        examples: A pandas DataFrame, a `datasets.Dataset` or a list of dictionaries.
        role: What they are for; the file is called so.

    Raises:
        InvalidInputError: They are of another type, there are none, or a cell holds what no file can; names the row, counted from 1.
    """
    rows = to_rows(examples, role)
    if not rows or not any(rows):
        raise InvalidInputError(f"{role} must hold an example", value=f"{len(rows)} rows", remedy="Hand over one row per example.")
    if any(_holds_bytes(cell) for row in rows for cell in row.values()):
        return f"{role}.parquet", _parquet(rows, role)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    try:
        content = text.encode()
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        raise InvalidInputError(f"{role}, row {line}: text must be Unicode", value=text[error.start : error.end]) from None
    require_size(role, len(content))
    return f"{role}.jsonl", content


def _rows(examples: Any, role: Role) -> Sequence[Row]:
    """Return examples row by row. Neither library is imported for it: whoever hands its data over has done that."""
    pandas, datasets = sys.modules.get("pandas"), sys.modules.get("datasets")
    if pandas is not None and isinstance(examples, pandas.DataFrame):
        return _by_rows(_frame_columns(examples, role))
    if datasets is not None and isinstance(examples, datasets.Dataset):
        from autopeft.tasks.hub_columns import columns_of

        return _by_rows(columns_of(examples, with_names=True))
    if isinstance(examples, Sequence) and not isinstance(examples, str | bytes):
        for number, row in enumerate(examples, 1):
            if not isinstance(row, Mapping) or not all(isinstance(name, str) for name in row):
                raise InvalidInputError(
                    f'{role}, row {number}: must be a dictionary such as {{"text": "...", "label": 1}}, its keys text', value=row
                )
        return examples
    if datasets is not None and isinstance(examples, datasets.DatasetDict):
        remedy = f"Hand its splits over one by one, such as {role}=splits[{next(iter(examples), role)!r}]."
    elif isinstance(examples, Mapping):
        remedy = "Make a DataFrame of columns (pandas.DataFrame(...)), or a list with a dictionary per row."
    else:
        remedy = "Other tables have ways to these, such as to_pandas(); what comes row by row can be put into a list."
    rule = f"{role} must be a path, a pandas DataFrame, a datasets.Dataset or a list of dictionaries"
    raise InvalidInputError(rule, value=type(examples).__name__, remedy=remedy)


def _by_rows(columns: Mapping[str, Sequence[Any]]) -> list[Row]:
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def _frame_columns(frame: Any, role: Role) -> dict[str, Sequence[Any]]:
    names = [str(name) for name in frame.columns]
    if len(set(names)) != len(names):
        raise InvalidInputError(f"{role} must name every column once", value=names)
    values = frame.astype(object).where(frame.notna(), None)
    return {name: list(values.iloc[:, index]) for index, name in enumerate(names)}


def _cell(value: Any, role: Role, number: int, name: str) -> Any:
    """Return a cell as JSON has it, or bytes.

    Raises:
        InvalidInputError: It is something else, or holds it.
    """
    if value is None or isinstance(value, bool | bytes):
        return value
    if isinstance(value, int):
        if value.bit_length() > MAX_BITS:
            rule = f"{role}, row {number}: the column {name!r} must hold numbers of at most {MAX_BITS:,} bits"
            raise InvalidInputError(rule, value=value, remedy="Give it as text, or leave the column out.")
        return int(value)
    if isinstance(value, str):
        return str.__str__(value)  # of an enumeration's member what it stands for, not its name
    if isinstance(value, float):
        return None if value != value else float(value)
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {str(key): _cell(inner, role, number, name) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_cell(inner, role, number, name) for inner in value]
    if isinstance(value, date | time):
        return value.isoformat() if value == value else None  # pandas' NaT is a date that equals none
    if isinstance(value, Decimal):
        return None if value.is_nan() else float(value)
    if isinstance(value, os.PathLike):
        return absolute(value)
    if callable(to_list := getattr(value, "tolist", None)) and not hasattr(value, "columns"):  # arrays, tensors, numbers of numpy
        return _cell(to_list(), role, number, name)
    raise InvalidInputError(
        f"{role}, row {number}: the column {name!r} must hold text, numbers, bytes, or lists and dictionaries of these",
        value=type(value).__name__,
        remedy="Convert it, such as pandas' own types to text with .astype(str) or an image to its file's bytes, or leave the column out.",
    )


def _holds_bytes(cell: Any) -> bool:
    if isinstance(cell, Mapping):
        return any(_holds_bytes(inner) for inner in cell.values())
    if isinstance(cell, list):
        return any(_holds_bytes(inner) for inner in cell)
    return isinstance(cell, bytes)


def _parquet(rows: Sequence[Row], role: Role) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        try:
            arrays[name] = pa.array([row.get(name) for row in rows])
        except (pa.ArrowException, OverflowError) as error:
            remedy = "Make its cells alike, or leave the column out."
            raise InvalidInputError(f"{role}: cells of the column {name!r} must be of one type: {error}", remedy=remedy) from None
    table = pa.table(arrays)
    require_size(role, table.nbytes)
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()
