"""Turns a table's cells into texts, class ids and numbers, and refuses by name and place what is none of them."""

import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autopeft.amounts import percentages
from autopeft.errors import InvalidInputError
from autopeft.tasks.table import Table

MAX_INTEGER_CLASSES = 100
"""Whole numbers with more distinct values than this are scores and not classes, unless said otherwise."""
MAX_CLASSES = 1000
"""A column with more distinct names than this is not a label."""
MANY_CLASSES, FREE_TEXT_SHARE = 20, 0.5
"""More names than this, and than this share of the rows, are no classes: texts to be generated, or ids."""
MOST_SHOWN = 60
"""Characters of a name in a message."""
SHOWN_SHARES = 10
"""Labels whose share is said."""
LARGEST_EXACT = 2**53
"""From here on every float is whole, so that only digits say which number is, and different whole numbers are equal as floats."""
_LIST = re.compile(r"""\[\s*(["'].*["']|\{.*\})\s*\]""", re.DOTALL)
"""A list of texts or objects as Python and JSON write it, which is what becomes of one in CSV."""
_AS_LISTS = "Save lists as such, in JSON Lines or Parquet."
_AS_LABELS = "Write a and b as a;b, or save lists as such, in JSON Lines or Parquet."
# "007" is left a name: leading zeros mean that it was not a number to whoever wrote it.
_WHOLE = re.compile(r"(-?(?:0|[1-9][0-9]*))(?:\.0*)?")


def texts(table: Table, column: str) -> list[str]:
    """Return a column of texts.

    Raises:
        InvalidInputError: There is no such column, or a cell is not text.
    """
    cells = table.column(column)
    for row, cell in enumerate(cells):
        if not isinstance(cell, str):
            raise InvalidInputError(
                f"{table.where(row)}: the text column {column!r} must hold text", value=cell, remedy="Fill the cell or remove the row."
            )
    return [str(cell) for cell in cells]


def filled_texts(table: Table, column: str) -> list[str]:
    """Return a column of texts none of which is blank.

    Raises:
        InvalidInputError: As in `texts`, or a text is.
    """
    found = texts(table, column)
    for row, text in enumerate(found):
        if not text.strip():
            remedy = "Fill the cell or remove the row."
            raise InvalidInputError(f"{table.where(row)}: the column {column!r} must not be empty", value=text, remedy=remedy)
    return found


def class_names(table: Table, column: str) -> tuple[str, ...]:
    """Return the distinct class names of a label column: whole numbers by size, anything else by alphabet.

    Raises:
        InvalidInputError: A label is missing, labels are fractions, or there are too few or too many classes.
    """
    spelled = _spelled(table, column)
    names = sorted(set(spelled))
    where = f"{table.source}: the label column {column!r}"
    if len(names) < 2:
        raise InvalidInputError(f"{where} must hold two or more classes", value=names, remedy="Add examples of another class.")
    _refuse_fractions(table, column, spelled)
    if all(name == "[]" or is_written_list(name) for name in names):
        raise InvalidInputError(f"{where} holds lists written as text, which aren't classes", value=names[-1], remedy=_AS_LABELS)
    if len(names) > MANY_CLASSES and len(names) > len(table) * FREE_TEXT_SHARE:
        spaces = sum(" " in name.strip() for name in names) > len(names) / 2
        looks = "text to be generated" if spaces else "ids"
        remedy = "Name another column with --label"
        if spaces:
            remedy = "Give --kind causal_lm or --kind seq2seq to generate it"
        elif all(_number(name) is not None for name in names):
            remedy += ", or give --kind regression if labels are amounts"
        raise InvalidInputError(
            f"{where} holds nearly as many labels as rows, which looks like {looks}", value=len(names), remedy=f"{remedy}."
        )
    if len(names) > MAX_CLASSES:
        remedy = "Name another column, or give kind='regression' if labels are scores."
        raise InvalidInputError(f"{where} must hold at most {MAX_CLASSES:,} classes", value=len(names), remedy=remedy)
    # Not int: Python reads no whole number of more than 4300 digits.
    return tuple(sorted(names, key=Decimal) if all(map(_whole, names)) else names)


def class_ids(table: Table, column: str, ids: Mapping[str, int]) -> NDArray[np.int64]:
    """Return labels as class ids.

    Args:
        table: The rows.
        column: The label column.
        ids: The id of each spelling that is accepted.

    Raises:
        InvalidInputError: There is no such column, a label is missing, or it is not one of `ids`.
    """
    spelled = _spelled(table, column)
    for row, name in enumerate(spelled):
        if name not in ids:
            raise InvalidInputError(
                f"{table.where(row)}: the label in column {column!r} must be one of {_shorten(list(ids))}",
                value=table.column(column)[row],
                remedy="Correct it, or add examples of it to the training data.",
            )
    return np.array([ids[name] for name in spelled], dtype=np.int64)


def numbers(table: Table, column: str) -> NDArray[np.float64]:
    """Return labels as numbers.

    Raises:
        InvalidInputError: There is no such column, or a label is missing or is no finite number.
    """
    found = np.empty(len(table), dtype=np.float64)
    for row, cell in enumerate(table.column(column)):
        number = _number(cell)
        if number is None:
            _require_label(table, column, row)
            raise InvalidInputError(
                f"{table.where(row)}: the label in column {column!r} must be a finite number, as others are",
                value=cell,
                remedy="Correct it, or give kind='classification' if labels are class names.",
            )
        found[row] = number
    return found


def looks_like_classes(table: Table, column: str) -> bool:
    """Return whether a label column holds classes: booleans, names, or whole numbers with few distinct values. Else it holds scores.

    Mostly numbers with some text among them is a mistake, not a column of names.

    Raises:
        InvalidInputError: There is no such column, a label is missing, a mostly numeric column holds something else, or whole numbers are
            too many for classes and too large for floats to tell them apart.
    """
    cells = table.column(column)
    values = [_whole(cell) or _number(cell) for cell in cells]
    n_numbers = sum(value is not None for value in values)
    if 2 * n_numbers <= len(cells):
        return True
    if n_numbers < len(cells):
        numbers(table, column)
    if not all(isinstance(value, str) or (value is not None and value.is_integer() and abs(value) < LARGEST_EXACT) for value in values):
        return False
    n = len(set(values))
    if n <= MAX_INTEGER_CLASSES:
        return True
    for cell, value in zip(cells, values, strict=True):
        if abs(Decimal(value or 0)) >= LARGEST_EXACT:
            raise InvalidInputError(
                f"{table.source}: the label column {column!r} holds {n:,} whole numbers, some of 2^53 and more, which looks like ids",
                value=cell,
                remedy="Name another column with --label, or give --kind regression if labels are amounts.",
            )
    return False


def is_sequence(cell: object) -> bool:
    """Return whether a cell is a list, as JSON and Parquet have them."""
    return isinstance(cell, Sequence) and not isinstance(cell, str | bytes)


def is_written_list(cell: object) -> bool:
    """Return whether a cell is the text of a list of texts or objects, as they end up in CSV."""
    return isinstance(cell, str) and _LIST.fullmatch(cell.strip()) is not None


def require_no_written_lists(table: Table, column: str) -> None:
    """Refuse a column of lists that became text, which would be read as other text is.

    Raises:
        InvalidInputError: Every cell is one.
    """
    cells = table.column(column)
    if all(map(is_written_list, cells)):
        raise InvalidInputError(f"{table.where(0)}: the column {column!r} holds lists written as text", value=cells[0], remedy=_AS_LISTS)


def sequences(table: Table, column: str, what: str) -> list[list[Any]]:
    """Return a column of lists.

    Args:
        table: The rows.
        column: The column.
        what: What the lists hold, for the message.

    Raises:
        InvalidInputError: There is no such column, or a cell is no list.
    """
    cells = table.column(column)
    for row, cell in enumerate(cells):
        if not is_sequence(cell):
            raise InvalidInputError(f"{table.where(row)}: the column {column!r} must hold lists of {what}", value=cell, remedy=_AS_LISTS)
    return [list(cell) for cell in cells]  # type: ignore[call-overload]


def label_sets(table: Table, column: str) -> list[list[str]]:
    """Return each row's labels: of a list its entries, of a text its parts between semicolons or bars; there may be none.

    Raises:
        InvalidInputError: There is no such column, or a cell is neither.
    """
    found = []
    for row, cell in enumerate(table.column(column)):
        if not is_sequence(cell) and not isinstance(cell, str):
            raise InvalidInputError(
                f"{table.where(row)}: the label column {column!r} must hold a list, or names with ; or | between them", value=cell
            )
        if is_written_list(cell):
            rule = f"{table.where(row)}: the label column {column!r} holds a list written as text"
            raise InvalidInputError(rule, value=cell, remedy=_AS_LABELS)
        parts = re.split(r"[;|]", cell) if isinstance(cell, str) else [_name(table, row, column, part) for part in cell]  # type: ignore[attr-defined]
        found.append(list(dict.fromkeys(part.strip() for part in parts if part.strip())))
    return found


def tag_names(table: Table, column: str) -> list[list[str]]:
    """Return a column of lists of tags; numbers are names too.

    Raises:
        InvalidInputError: As in `sequences`, or a tag is missing or a list itself.
    """
    return [[_name(table, row, column, tag) for tag in tags] for row, tags in enumerate(sequences(table, column, "tags"))]


def _name(table: Table, row: int, column: str, part: Any) -> str:
    """Return the name in a list of names."""
    if not isinstance(part, str | int | float) or not str(part).strip():
        raise InvalidInputError(f"{table.where(row)}: the lists in column {column!r} must hold names", value=part)
    return str(part)


def is_hidden(table: Table, column: str) -> bool:
    """Return whether a split has no labels: the column is missing, or every cell is -1 (GLUE's way), or empty."""
    return all(cell is None or cell == "" or _number(cell) == -1 for cell in table.columns.get(column, ()))


def _spelled(table: Table, column: str) -> list[str]:
    """Return every label in the one spelling of its class: 1, 1.0, "1" and "1.0" are all "1"."""
    names = []
    for row, cell in enumerate(table.column(column)):
        _require_label(table, column, row)
        if not isinstance(cell, bool | int | float | str):
            raise InvalidInputError(f"{table.where(row)}: the label in column {column!r} must be a name or a number", value=cell)
        text = str(cell).lower() if isinstance(cell, bool) else str(cell)
        names.append(_whole(text) or text)
    return names


def _refuse_fractions(table: Table, column: str, spelled: Sequence[str]) -> None:
    """Refuse numbers with a fraction and what spells none, such as NaN, unless names among them show that they are names too."""
    values = [_real(name) for name in spelled]
    if None in values:
        return
    for row, value in enumerate(values):
        if value is not None and not value.is_integer() and not _whole(spelled[row]):  # nor is NaN, nor infinity
            raise InvalidInputError(
                f"{table.where(row)}: the label in column {column!r} must be a class name or a whole number",
                value=table.column(column)[row],
                remedy="Correct it, or give kind='regression' if labels are scores.",
            )


def _require_label(table: Table, column: str, row: int) -> None:
    cells = table.column(column)
    if _is_empty(cells[row]):
        n = sum(map(_is_empty, cells))
        raise InvalidInputError(
            f"{table.where(row)}: the label in column {column!r} is missing" + (f", as in {n:,} of {len(cells):,} rows" if n > 1 else ""),
            value=cells[row],
            remedy="Fill the cell or remove the row." if n == 1 else "Fill the cells or remove the rows.",
        )


def _is_empty(cell: object) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip()) or (isinstance(cell, float) and math.isnan(cell))


def _whole(cell: object) -> str | None:
    """Return the digits of the whole number that a cell is or spells, however many; None if it is none."""
    found = _WHOLE.fullmatch(str(cell))
    return None if found is None else "0" if found[1] == "-0" else found[1]


def _number(cell: Any) -> float | None:
    """Return the finite number that a cell is or spells, if it is one."""
    number = _real(cell)
    return number if number is not None and math.isfinite(number) else None


def _real(cell: Any) -> float | None:
    """Return the number that a cell is or spells, which may be NaN or infinite. "1_000" is Python's way to write one, and no file's."""
    if isinstance(cell, bool) or not isinstance(cell, int | float | str) or (isinstance(cell, str) and "_" in cell):
        return None
    try:
        return float(cell)
    except (ValueError, OverflowError):
        return None


def shortened(name: str) -> str:
    """Return a name as a message shows it: what can't be printed spelled out, and not all of a long one."""
    text = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in name[:MOST_SHOWN])
    return f"{text}..." if len(name) > MOST_SHOWN else text


def shares(labels: Sequence[str], counts: Sequence[int], n: int) -> str:
    """Say which share of n examples each label has, by how many have it, the largest first."""
    order = sorted(range(len(labels)), key=lambda index: -counts[index])
    written = percentages(counts) if sum(counts) == n else [f"{count / n:.0%}" for count in counts]  # of several labels an example
    found = ", ".join(f"{shortened(labels[index])} {written[index]}" for index in order[:SHOWN_SHARES])
    return found + (f", {len(order) - SHOWN_SHARES} more" if len(order) > SHOWN_SHARES else "")


def _shorten(names: Sequence[str]) -> str:
    return ", ".join(repr(shortened(name)) for name in names[:10]) + (", ..." if len(names) > 10 else "")
