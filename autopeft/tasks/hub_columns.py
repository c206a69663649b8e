"""The columns of a `datasets.Dataset`, as the cells that a `Table` holds."""

from typing import Any


def columns_of(rows: Any, *, with_names: bool) -> dict[str, list[Any]]:
    """Return a data set's columns, with images and sounds as they are stored.

    Args:
        rows: A `datasets.Dataset`.
        with_names: Whether cells with a class become its name.
    """
    import datasets

    rows = rows.with_format(None)  # whoever has asked for tensors means them for a model
    for column, feature in rows.features.items():
        if isinstance(feature, datasets.Image | datasets.Audio):
            rows = rows.cast_column(column, type(feature)(decode=False))
    columns = {column: list(rows[column]) for column in rows.column_names}
    return {column: _named(cells, rows.features[column]) for column, cells in columns.items()} if with_names else columns


def _named(cells: list[Any], feature: Any) -> list[Any]:
    """Return a column with classes, or lists of them, by their names; -1 stands for a hidden one and stays."""
    names = getattr(feature, "names", None)
    inner = getattr(getattr(feature, "feature", None), "names", None)
    if names is not None:
        return [names[cell] if isinstance(cell, int) and cell >= 0 else cell for cell in cells]
    if inner is not None:
        return [[inner[one] if isinstance(one, int) and one >= 0 else one for one in cell or []] for cell in cells]
    return cells
