"""What a report is made of, before a medium writes it: sections of sentences, tables and drawings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from autopeft.report.formatting import one_line, score
from autopeft.report.leaderboard import Column, Table
from autopeft.tasks.details import Detail

MAX_OPEN_ROWS = 12
"""A table of more rows is folded."""


class Drawing(Enum):
    """A place for a picture of what the report holds; a medium without pictures leaves it out, for tables say the same."""

    FRONT = "front"
    RETRAINED = "retrained"
    IMPORTANCE = "importance"
    LAYERS = "layers"
    CURVES = "curves"
    GROWTH = "growth"
    STATUS = "status"


@dataclass(frozen=True)
class Code:
    """Something to type."""

    text: str


@dataclass(frozen=True)
class Folded:
    """A long table, closed at first where a medium can do that."""

    table: Table


@dataclass(frozen=True)
class Matrix:
    """A table of counts whose rows and columns stand for the same things; a medium with colours shows large numbers."""

    table: Table


@dataclass(frozen=True)
class TrialCurve:
    """A place for a picture of how a trial learnt, where a medium has pictures."""

    trial: int


Block = str | Code | Table | Folded | Matrix | Drawing | TrialCurve
"""A paragraph of plain text, or one of the others."""


@dataclass(frozen=True)
class Section:
    """A part of a report under a heading."""

    key: str
    title: str
    blocks: tuple[Block, ...]


def fold_if_long(table: Table) -> Table | Folded:
    """Return a table as it is, or to be folded."""
    return Folded(table) if len(table.rows) > MAX_OPEN_ROWS else table


def detail_blocks(details: Sequence[Detail], titles: Callable[[str], str] = str) -> list[Block]:
    """Return what people look at beyond metrics as tables; `titles` makes a table's title from its own."""
    found: list[Block] = []
    for one in details:
        numbers = [all(isinstance(row[place], int | float) for row in one.rows) for place in range(len(one.columns))]
        columns = tuple(Column(one_line(title), is_number) for title, is_number in zip(one.columns, numbers, strict=True))
        rows = tuple(tuple(_written(cell) for cell in row) for row in one.rows)
        table = Table(titles(one.title), columns, rows)
        found.append(Matrix(table) if one.is_matrix else fold_if_long(table))
    return found


def _written(cell: object) -> str:
    return f"{cell:,}" if isinstance(cell, int) else score(cell) if isinstance(cell, float) else one_line(str(cell))


def text_columns(*titles: str) -> tuple[Column, ...]:
    """Return columns of text."""
    return tuple(Column(title, is_number=False) for title in titles)
