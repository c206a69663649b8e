"""How results are printed."""

from enum import StrEnum


class Format(StrEnum):
    """For people or for programs."""

    TABLE = "table"
    JSON = "json"


class TableFormat(StrEnum):
    """For people, for programs or for spreadsheets."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
