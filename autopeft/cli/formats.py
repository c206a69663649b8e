"""How results are printed."""

from enum import StrEnum


class Format(StrEnum):
    """For people or for programs."""

    TABLE = "table"
    JSON = "json"
