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
RATES = (1_000, 1_000_000)
"""Samples a second that a recording may have: what says otherwise is damaged, and resampling it would fill the memory."""
_AS_WAV = "Save it as WAV of whole numbers (PCM)."
_LARGEST = 2**16
"""Brightnesses that an image of more than 8 bits may have."""


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
            # A name that is no UTF-8 could be printed nowhere.
            name = f", {cell.encode(errors='backslashreplace').decode()}" if isinstance(cell, str) else ""
            where = f"{table.where(row)}{name}"
            raise InvalidInputError(f"{where}: {error.rule}", value=error.value, remedy=error.remedy) from error
    return files


def image(data: bytes) -> "Image":
    """Return an image in RGB, the right way up: cameras save what they see, and beside it how they were held. Of a film it is the first.

    What is transparent gets the colour that it has in the file, as in most libraries.

    Raises:
        InvalidInputError: It is none, it is cut off or too large, or its pixels are no whole numbers of up to 16 bits.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.filterwarnings("ignore", "Palette images with Transparency", UserWarning)
            with Image.open(io.BytesIO(data)) as opened:
                return _in_eight_bits(ImageOps.exif_transpose(opened)).convert("RGB")
    except UnidentifiedImageError:
        raise InvalidInputError("an image can't be read: the file is none", value=data[:20], remedy=_ANEW) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InvalidInputError(f"an image can't be read: {error}", remedy="Make it smaller: models read some hundred pixels.") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise InvalidInputError(f"an image can't be read: {error}", remedy=_ANEW) from error


def image_size(data: bytes) -> tuple[int, int]:
    """Return width and height of what `image` can read, as it lies in the file, without decoding it."""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as opened:
        return opened.size


def _in_eight_bits(opened: "Image") -> "Image":
    """Return an image of more than 8 bits with the brightest of 16 bits as white: Pillow would cut off all that is above 255.

    Raises:
        ValueError: Its numbers are no such brightnesses.
    """
    from PIL import Image

    if opened.mode != "F" and not opened.mode.startswith("I"):
        return opened
    pixels = np.asarray(opened)
    if opened.mode == "F" or pixels.min() < 0 or pixels.max() >= _LARGEST:
        what = "fractions" if opened.mode == "F" else f"{pixels.min()} to {pixels.max()}"
        raise ValueError(f"its pixels must be whole numbers from 0 to {_LARGEST - 1}, and are {what}")
    return Image.fromarray((pixels // (_LARGEST // 2**8)).astype(np.uint8))


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
    except (ZeroDivisionError, UnboundLocalError) as error:  # SciPy looks up what the header should have said
        raise InvalidInputError("a recording can't be read: its header contradicts itself", remedy=_AS_WAV) from error
    except (ValueError, EOFError, OSError, struct.error, wavfile.WavFileWarning) as error:
        raise InvalidInputError(f"a recording can't be read: {' '.join(str(error).split())}", remedy=_AS_WAV) from error
    if not samples.size:
        raise InvalidInputError("a recording must have a sample", value=0)
    if not RATES[0] <= rate <= RATES[1]:
        raise InvalidInputError(f"a recording must have {RATES[0]:,} to {RATES[1]:,} samples a second", value=int(rate), remedy=_AS_WAV)
    if not np.isfinite(samples).all():
        raise InvalidInputError("a recording's samples must be finite numbers", remedy=_AS_WAV)
    return int(rate), samples
