"""Rows of a run's files as JSON."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any


def finite(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row fit for JSON, which has no NaN and no infinity: they become null, at any depth."""
    return {key: _finite(value) for key, value in row.items()}


def _finite(value: Any) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return None
        case Mapping():
            return finite(value)
        case list() | tuple():
            return type(value)(_finite(entry) for entry in value)
        case _:
            return value


def json_line(row: Mapping[str, Any]) -> str:
    """Return a row as a line of JSON; what is not finite is null."""
    return json.dumps(finite(row), allow_nan=False) + "\n"


def json_lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Return rows as JSON lines."""
    return "".join(map(json_line, rows)).encode()
