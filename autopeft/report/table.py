"""Drawing tables: with rules and colour where a person looks on, as plain aligned text where a program or a file does."""

import math
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from autopeft.configuration import Configuration
from autopeft.report.console import make_console
from autopeft.report.expected import ExpectedFront
from autopeft.report.header import RunHeader
from autopeft.report.leaderboard import Column, Leaderboard, Table, introduction, tables

MIN_TEXT_WIDTH = 24
"""The last column, a text, is wrapped down to so many characters before it moves below the others."""
MAX_TEXT_LINES = 4
"""It moves too where it would be wrapped into more lines than these."""
_GAP = "  "


def show_tables(
    leaderboard: Leaderboard,
    header: RunHeader,
    expected: ExpectedFront,
    *,
    show_all: bool = False,
    exports_to: Callable[[Configuration], Sequence[str]] | None = None,
) -> None:
    """Print a run's tables on standard output, brief on a terminal unless all is asked for. The variable NO_COLOR is honoured.

    The rest as in `autopeft.report.leaderboard.tables`.
    """
    brief = make_console().is_terminal and not show_all
    words = expected.words if expected.trials else None
    show(introduction(leaderboard, header), tables(leaderboard, header, brief=brief, expected=words, exports_to=exports_to))


def show(lines: Sequence[str], found: Sequence[Table]) -> None:
    """Print lines and tables on standard output, for a terminal or for what reads it."""
    console = make_console()
    if console.is_terminal:
        console.print(rich_text(lines, found))
    else:
        sys.stdout.write(plain_text(lines, found))


def plain_text(lines: Sequence[str], found: Sequence[Table]) -> str:
    """Return lines and tables as aligned text of any width: nothing is wrapped and nothing cut."""
    blocks = ["\n".join(lines), *("\n".join([table.title, *_aligned_table(table)]) for table in found)]
    return "\n\n".join(blocks) + "\n"


def rich_text(lines: Sequence[str], found: Sequence[Table]) -> Group:
    """Return lines and tables for a terminal; what doesn't fit its width is wrapped."""
    # Text, never markup: a configuration in words holds square brackets, and a task's name can hold anything.
    return Group(*(Text(line) for line in lines), *(Padding(_Fitted(table), (1, 0, 0, 0)) for table in found))


def aligned(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """Return rows as lines with aligned columns; the columns with these indices are aligned to the right."""
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    sides = [index in right for index in range(len(widths))]
    return [_GAP.join(map(_padded, row, widths, sides)).rstrip() for row in rows]


def _aligned_table(table: Table) -> list[str]:
    titles = [column.title for column in table.columns]
    return aligned([titles, *table.rows], right=[index for index, column in enumerate(table.columns) if column.is_number])


def _padded(cell: str, width: int, right: bool) -> str:
    return cell.rjust(width) if right else cell.ljust(width)


@dataclass(frozen=True)
class _Fitted:
    """A table in the width that there is: where columns don't fit beside each other, the last of them stand below, row by row."""

    table: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        table, widths = self.table, _widths(self.table)
        last = table.columns[-1]
        needed = sum(widths[:-1]) + len(_GAP) * len(widths) + (widths[-1] if last.is_number else _text_width(widths[-1]))
        if needed <= options.max_width:
            yield _rich_table(table)
            return
        ends = accumulate(width + len(_GAP) for width in widths)
        n_beside = max(1, sum(end - len(_GAP) <= options.max_width for end in ends))
        n_beside = min(n_beside, len(widths) - 1)
        yield Text(table.title, style="bold")
        beside = Table("", table.columns[:n_beside], tuple(row[:n_beside] for row in table.rows))
        header, *lines = _aligned_table(beside)
        yield Text(header, style="dim")
        for line, row in zip(lines, table.rows, strict=True):
            yield Text(line)
            yield Padding(_below(table.columns[n_beside:], row[n_beside:]), (0, 0, 0, 4))


def _below(columns: Sequence[Column], cells: Sequence[str]) -> Text:
    """Return cells that have no column of their own, each after its title but the last, a text that says itself what it is."""
    titled = [f"{column.title} {cell}" for column, cell in zip(columns[:-1], cells[:-1], strict=True)]
    last = f"{columns[-1].title} {cells[-1]}" if columns[-1].is_number else cells[-1]
    return Text(", ".join([*titled, last]))


def _widths(table: Table) -> list[int]:
    cells = zip([column.title for column in table.columns], *table.rows, strict=True)
    return [max(map(len, column)) for column in cells]


def _text_width(width: int) -> int:
    """Return how narrow a text may be wrapped that is so wide."""
    return min(width, max(MIN_TEXT_WIDTH, math.ceil(width / MAX_TEXT_LINES)))


def _rich_table(table: Table) -> RichTable:
    drawn = RichTable(title=Text(table.title, style="bold"), title_justify="left", box=None, padding=(0, 2, 0, 0), header_style="dim")
    for index, column in enumerate(table.columns):
        if column.is_number or index < len(table.columns) - 1:  # a name is of no use in pieces
            drawn.add_column(Text(column.title), justify="right" if column.is_number else "left", no_wrap=True)
        else:
            drawn.add_column(Text(column.title), overflow="fold", ratio=1)
    for row in table.rows:
        drawn.add_row(*(Text(cell) for cell in row))
    return drawn
