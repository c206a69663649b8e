"""Images and sounds as they stand in files and in data sets of the hub."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autopeft.errors import InvalidInputError

if TYPE_CHECKING:
    from PIL.Image import Image

    from autopeft.tasks.table import Table

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
SOUND_SUFFIXES = (".wav",)


def contents(table: "Table", column: str, what: str) -> list[bytes]:
    """Return a column's files as bytes: cells are paths, relative to the table's file, or the hub's dictionaries with bytes or a path.

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
                value = (folder / value).read_bytes()
            except OSError as error:
                raise InvalidInputError(f"{table.where(row)}: {what} can't be read: {error.strerror}", value=value) from error
        if not isinstance(value, bytes) or not value:
            raise InvalidInputError(f"{table.where(row)}: the column {column!r} must hold a path or the content of {what}", value=cell)
        found.append(value)
    return found


def image(data: bytes) -> "Image":
    """Return an image in RGB.

    Raises:
        InvalidInputError: It is none, or it is cut off.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as opened:
            return opened.convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise InvalidInputError(f"an image can't be read: {error}", remedy="Save it anew as PNG or JPEG.") from error


def sound(data: bytes, rate: int) -> NDArray[np.float32]:
    """Return a WAV file's samples between -1 and 1, its channels' mean, at so many a second.

    Raises:
        InvalidInputError: It is none.
    """
    from math import gcd

    from scipy.io import wavfile
    from scipy.signal import resample_poly

    try:
        own, samples = wavfile.read(io.BytesIO(data))
    except (ValueError, EOFError, OSError) as error:
        raise InvalidInputError(f"a recording can't be read: {error}", remedy="Save it as WAV.") from error
    if not samples.size:
        raise InvalidInputError("a recording must have a sample", value=0)
    exact = samples.astype(np.float64)
    if samples.dtype == np.uint8:
        exact = (exact - 128) / 128
    elif np.issubdtype(samples.dtype, np.integer):
        exact /= -float(np.iinfo(samples.dtype).min)
    mono = exact.mean(axis=1) if exact.ndim == 2 else exact
    common = gcd(int(own), rate)
    found: NDArray[np.float32] = (mono if own == rate else resample_poly(mono, rate // common, int(own) // common)).astype(np.float32)
    return found
