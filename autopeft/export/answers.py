"""Answers to new examples, written beside them."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autopeft.errors import InvalidInputError
from autopeft.study.directory import write_atomically
from autopeft.tasks.table import Table

SUFFIXES = (".jsonl", ".csv")


def require_writable(path: Path) -> None:
    """Check, before any work, that answers can be written to a file.

    Raises:
        InvalidInputError: It is there already, its folder isn't, or its suffix is none of `SUFFIXES`.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise InvalidInputError(f"the file of answers must end in {' or '.join(SUFFIXES)}", value=str(path))
    if path.exists():
        raise InvalidInputError("the file of answers exists", value=str(path), remedy="Give another --output, or remove it.")
    if not path.parent.is_dir():
        raise InvalidInputError("the folder for the answers does not exist", value=str(path.parent), remedy="Make it first.")


def write_answers(path: Path, table: Table, answers: Sequence[Mapping[str, Any]]) -> None:
    """Write the rows of a table, each with its answer: as JSON lines, or as CSV with a column per probability.

    A column of the table that is called as a part of the answer is, such as the prediction of another time, is written as input_prediction.
    """
    outer = {name: name.partition(".")[0] for name in table.columns}
    # What lies inside a column that is written is written with it.
    columns = {name: cells for name, cells in table.columns.items() if outer[name] == name or outer[name] not in table.columns}
    own = {name for answer in answers for name in (*answer, *_flat(answer))}
    columns = {f"input_{name}" if name in own else name: cells for name, cells in columns.items()}
    rows = [{name: cells[row] for name, cells in columns.items()} | dict(answer) for row, answer in enumerate(answers)]
    text = json_lines(rows) if path.suffix.lower() == ".jsonl" else _csv(rows)
    write_atomically(path, text.encode())


def json_lines(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return one JSON object a line; what JSON has no word for, such as a date, as text."""
    return "".join(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    flat = [_flat(row) for row in rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in flat for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of cells: probabilities become columns, lists become text."""
    found = {name: _as_text(cell) if isinstance(cell, list | dict) else cell for name, cell in row.items()}
    if isinstance(row.get("probabilities"), dict):
        del found["probabilities"]
        found |= {f"probability_{label}": value for label, value in row["probabilities"].items()}
    return found


def _as_text(cell: list[Any] | dict[str, Any]) -> str:
    return json.dumps(cell, ensure_ascii=False, default=str)
