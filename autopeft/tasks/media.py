"""Files of images and recordings, as they stand in tables, in folders and in data sets of the hub."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autopeft.errors import InvalidInputError

if TYPE_CHECKING:
    from autopeft.tasks.table import Table

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
SOUND_SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3")
_CLIPS = "clips"
_LONGEST_NAME = 255
"""Letters of a text that may be a file's name; a path is rarely longer, and content always is."""


def is_called(table: "Table", column: str, names: Sequence[str]) -> bool:
    """Return whether a column has one of some names, or is also called by one: `file_name` is, where it names images or recordings."""
    return any(table.columns.get(name) is table.column(column) for name in names)


def contents(table: "Table", column: str, what: str) -> list[bytes]:
    """Return a column's files as bytes: cells are paths, or the hub's dictionaries with bytes or a path.

    Paths are relative to the table's file, or to a folder `clips` beside it, where Common Voice has its recordings.

    Raises:
        InvalidInputError: There is no such column, a cell is neither, or a file can't be read.
    """
    source = Path(table.source)
    folder = source if source.is_dir() else source.parent
    found = []
    for row, cell in enumerate(table.column(column)):
        value: Any = cell
        if isinstance(value, Mapping):
            value = value.get("bytes") or value.get("path")
        if isinstance(value, str) and value:
            try:
                value = _file(folder, value).read_bytes()
            except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
                reason = error.strerror if isinstance(error, OSError) else error
                remedy = f"Paths are seen from {folder}. To read other columns, name them with --text, and the kind of task with --kind."
                if len(value) > _LONGEST_NAME or value.startswith("data:"):
                    remedy = "A file's content is read as bytes, not as base64 text: save it in Parquet, or name files."
                raise InvalidInputError(f"{table.where(row)}: {what} can't be read: {reason}", value=value, remedy=remedy) from error
        if value == b"":
            raise InvalidInputError(f"{table.where(row)}: {what} must not be an empty file", value=cell)
        if not isinstance(value, bytes):
            raise InvalidInputError(f"{table.where(row)}: the column {column!r} must hold a path or the content of {what}", value=cell)
        found.append(value)
    return found


def _file(folder: Path, name: str) -> Path:
    path = folder / name
    return path if path.exists() or not (beside := folder / _CLIPS / name).exists() else beside


def readable_contents(table: "Table", column: str, what: str, decode: Callable[[bytes], object]) -> list[bytes]:
    """Return a column's files as bytes, each of which can be decoded.

    Raises:
        InvalidInputError: As in `contents`, or one can't; names the place.
    """
    files = contents(table, column, what)
    for row, data in enumerate(files):
        try:
            decode(data)
        except InvalidInputError as error:
            cell = table.column(column)[row]
            # A name that is no UTF-8 could be printed nowhere.
            name = f", {cell.encode(errors='backslashreplace').decode()}" if isinstance(cell, str) else ""
            where = f"{table.where(row)}{name}"
            raise InvalidInputError(f"{where}: {error.rule}", value=error.value, remedy=error.remedy) from error
    return files
