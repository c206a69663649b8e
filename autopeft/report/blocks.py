"""What a report is made of, before a medium writes it: sections of sentences, tables and drawings."""

from dataclasses import dataclass
from enum import Enum

from autopeft.report.leaderboard import Column, Table

MAX_OPEN_ROWS = 12
"""A table of more rows is folded."""


class Drawing(Enum):
    """A place for a picture of what the report holds; a medium without pictures leaves it out, for tables say the same."""

    FRONT = "front"
    RETRAINED = "retrained"
    IMPORTANCE = "importance"
    LAYERS = "layers"
    CURVES = "curves"


@dataclass(frozen=True)
class Code:
    """Something to type."""

    text: str


@dataclass(frozen=True)
class Folded:
    """A long table, closed at first where a medium can do that."""

    table: Table


Block = str | Code | Table | Folded | Drawing
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


def text_columns(*titles: str) -> tuple[Column, ...]:
    """Return columns of text."""
    return tuple(Column(title, is_number=False) for title in titles)
