"""Images, decoded."""

import io
import warnings
from typing import TYPE_CHECKING

import numpy as np

from autopeft.errors import InvalidInputError

if TYPE_CHECKING:
    from PIL.Image import Image

_ANEW = "Save it anew as PNG or JPEG."
_LARGEST = 2**16
"""Brightnesses that an image of more than 8 bits may have."""


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
