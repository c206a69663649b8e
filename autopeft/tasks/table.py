"""Rows as they were read, each with the place to name when something is wrong with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autopeft.errors import InvalidInputError, near_names


@dataclass(frozen=True, eq=False)
class Table:
    """n rows of named columns."""

    source: str
    """The file, or the data set and split on the hub."""
    columns: Mapping[str, Sequence[object]]
    """One list of n cells per column. Cells of CSV and TSV are text, those of JSON and Parquet have types."""
    lines: Sequence[int]
    """The line of the file, or the number of the row, that each row is called by; both count from 1."""
    place: str = "row"
    """Whether `lines` are lines of a text file or rows."""
    notes: tuple[str, ...] = ()
    """What was found out about how the file is written, one sentence each, where that isn't what its suffix says."""

    def __len__(self) -> int:
        return len(self.lines)

    def where(self, row: int) -> str:
        """Say where a row stands, such as "train.csv, line 7"."""
        return f"{self.source}, {self.place} {self.lines[row]}"

    def column(self, name: str) -> Sequence[object]:
        """Return a column's cells.

        Raises:
            InvalidInputError: There is no such column.
        """
        if name not in self.columns:
            near, parts = near_names(name, self.columns), [part.strip() for part in name.split(",")]
            hint = f"Did you mean {near[0]!r}? " if near else ""
            if set(parts) <= set(self.columns):
                hint = f"Several columns are a list: text={parts!r}. "
            raise InvalidInputError(f"{self.source} has no column", value=name, remedy=f"{hint}It has: {', '.join(self.columns)}.")
        return self.columns[name]
