"""Images and sounds as they stand in files and in data sets of the hub."""

import io
import math
import struct
import warnings
from collections.abc import Callable, Mapping
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
_ANEW = "Save it anew as PNG or JPEG."
_LONGEST_NAME = 255
"""Letters of a text that may be a file's name; a path is rarely longer, and content always is."""
READING_RATE = 16_000
"""Samples a second that nearly all models read."""


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
            where = f"{table.where(row)}, {cell}" if isinstance(cell, str) else table.where(row)
            raise InvalidInputError(f"{where}: {error.rule}", value=error.value, remedy=error.remedy) from error
    return files


def image(data: bytes) -> "Image":
    """Return an image in RGB.

    Raises:
        InvalidInputError: It is none, or it is cut off.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as opened:
            return opened.convert("RGB")
    except UnidentifiedImageError:
        raise InvalidInputError(
            "an image can't be read: the file is none", value=data[:20], remedy="Save it anew as PNG or JPEG."
        ) from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InvalidInputError(f"an image can't be read: {error}", remedy=_ANEW) from error


def sound(data: bytes, rate: int = READING_RATE) -> NDArray[np.float32]:
    """Return a WAV file's samples between -1 and 1, its channels' mean, at so many a second.

    Raises:
        InvalidInputError: It is none.
    """
    from scipy.signal import resample_poly

    own, samples = _wav(data)
    exact = samples.astype(np.float64)
    if samples.dtype == np.uint8:
        exact = (exact - 128) / 128
    elif np.issubdtype(samples.dtype, np.integer):
        exact /= -float(np.iinfo(samples.dtype).min)
    mono = exact.mean(axis=1) if exact.ndim == 2 else exact
    common = math.gcd(own, rate)
    found: NDArray[np.float32] = (mono if own == rate else resample_poly(mono, rate // common, own // common)).astype(np.float32)
    return found


def sound_length(data: bytes, rate: int = READING_RATE) -> int:
    """Return how many samples `sound` makes of a WAV file.

    Raises:
        InvalidInputError: It is none.
    """
    own, samples = _wav(data)
    common = math.gcd(own, rate)
    return math.ceil(len(samples) * (rate // common) / (own // common))


def _wav(data: bytes) -> tuple[int, NDArray[Any]]:
    """Return a WAV file's samples a second, and its samples as they stand in it; parts of the file that are none are passed over."""
    from scipy.io import wavfile

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)
            warnings.filterwarnings("error", "Reached EOF prematurely", wavfile.WavFileWarning)
            rate, samples = wavfile.read(io.BytesIO(data))
    except (ValueError, EOFError, OSError, struct.error, wavfile.WavFileWarning) as error:
        raise InvalidInputError(f"a recording can't be read: {error}", remedy="Save it as WAV.") from error
    if not samples.size:
        raise InvalidInputError("a recording must have a sample", value=0)
    if not np.isfinite(samples).all():
        raise InvalidInputError("a recording's samples must be finite numbers", remedy="Save it as WAV of whole numbers.")
    return int(rate), samples
