"""How results are printed, and how lists are typed."""

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


def split_names(text: str) -> list[str]:
    """Return names that commas separate."""
    return [name.strip() for name in text.split(",") if name.strip()]
