"""Recordings, decoded."""

import io
import math
import struct
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autopeft.errors import InvalidInputError

READING_RATE = 16_000
"""Samples a second that nearly all models read."""
RATES = (1_000, 1_000_000)
"""Samples a second that a recording may have: what says otherwise is damaged, and resampling it would fill the memory."""
_AS_WAV = "Save it as WAV of whole numbers (PCM)."


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
