"""Columns that lie inside others: the keys of objects in JSON, the fields of structures in Parquet."""

from collections.abc import Mapping, Sequence

MAX_DEPTH = 8
"""Objects nested deeper stay one cell."""


def with_nested(columns: Mapping[str, Sequence[object]]) -> dict[str, Sequence[object]]:
    """Return columns together with those inside them, named by both keys: of {"input": {"text": "..."}} also "input.text".

    A key that is spelled with a dot itself goes before; an object that lacks a key has None there.
    """
    found = dict(columns)
    inner = dict(columns)
    for _ in range(MAX_DEPTH):
        inner = {f"{name}.{key}": [_get(cell, key) for cell in cells] for name, cells in inner.items() for key in _keys(cells)}
        if not inner:
            break
        found = inner | found
    return {name: found[name] for name in sorted(found, key=lambda name: name not in columns)}


def _keys(cells: Sequence[object]) -> list[str]:
    return list(dict.fromkeys(str(key) for cell in cells if isinstance(cell, Mapping) for key in cell))


def _get(cell: object, key: str) -> object:
    return cell.get(key) if isinstance(cell, Mapping) else None
