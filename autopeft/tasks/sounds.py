"""Recordings, decoded: WAV by SciPy, what is compressed by libsndfile, which its Python package `soundfile` brings."""

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
_COMPRESSED = {b"fLaC": "FLAC", b"OggS": "Ogg", b"ID3": "MP3"}
"""How files begin that are compressed. An MP3 file may also begin with its first frame: eleven bits that are set."""

_BLOCK = 2**20
"""Samples that are read at once, for a damaged header may promise more than fit into the memory."""


def sound(data: bytes, rate: int = READING_RATE) -> NDArray[np.float32]:
    """Return a recording's samples between -1 and 1, its channels' mean, at so many a second.

    Raises:
        InvalidInputError: It is no WAV, FLAC, Ogg (Vorbis, Opus) or MP3 file, is damaged, or can't be read without `soundfile`.
    """
    from scipy.signal import resample_poly

    own, samples = _samples(data)
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
    """Return how many samples `sound` makes of a recording.

    Raises:
        InvalidInputError: As in `sound`.
    """
    own, samples = _samples(data)
    common = math.gcd(own, rate)
    return math.ceil(len(samples) * (rate // common) / (own // common))


def _samples(data: bytes) -> tuple[int, NDArray[Any]]:
    """Return a recording's samples a second, and its samples as they stand in it, one column a channel if there are several."""
    form = next((form for begin, form in _COMPRESSED.items() if data.startswith(begin)), "")
    if not form and data[:1] == b"\xff" and data[1:2] >= b"\xe0":
        form = "MP3"
    rate, samples = _decompressed(data, form) if form else _wav(data)
    if not samples.size:
        raise InvalidInputError("a recording must have a sample", value=0)
    if not RATES[0] <= rate <= RATES[1]:
        raise InvalidInputError(f"a recording must have {RATES[0]:,} to {RATES[1]:,} samples a second", value=rate, remedy=_AS_WAV)
    if not np.isfinite(samples).all():
        raise InvalidInputError("a recording's samples must be finite numbers", remedy=_AS_WAV)
    return rate, samples


def _wav(data: bytes) -> tuple[int, NDArray[Any]]:
    """Read WAV; parts of the file that are no samples are passed over."""
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
    return int(rate), samples


def _decompressed(data: bytes, form: str) -> tuple[int, NDArray[Any]]:
    """Read what libsndfile reads."""
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: it comes without the library on some systems, and there is none
        rule = f"a recording can't be read: {form} needs the package soundfile"
        raise InvalidInputError(rule, remedy="Install it (pip install 'autopeft[audio]'), or save recordings as WAV.") from error
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            rate, n_samples = file.samplerate, file.frames
            blocks = [np.empty((0, file.channels), dtype=np.float32)]
            while len(block := file.read(_BLOCK, dtype="float32", always_2d=True)):
                blocks.append(block)
    except soundfile.SoundFileError as error:
        reason = str(getattr(error, "error_string", error)).strip().rstrip(".")
        if reason.startswith("File does not exist"):  # so libsndfile says of MP3 without a frame
            reason = "it has no frames"
        raise InvalidInputError(f"a recording in {form} can't be read: {reason}", remedy=_AS_WAV) from error
    samples = np.concatenate(blocks)
    if len(samples) < n_samples:
        raise InvalidInputError(f"a recording in {form} is cut off: of {n_samples:,} samples there are {len(samples):,}", remedy=_AS_WAV)
    return rate, samples
