"""Small images and recordings, and folders of them."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

from autopeft.errors import InvalidInputError
from autopeft.tasks import load_files

N = 9
LABELS = ["xy"[index % 2] for index in range(N)]
MEDIA = [("image", ".png", "an image"), ("audio", ".wav", "a recording")]
KINDS = [(*MEDIA[0], "label"), (*MEDIA[1], "label"), (*MEDIA[1], "text")]
"""Column of files, suffix, what a file is, and column to predict: recordings with a text are transcribed."""


def png(seed: int, brightness: int) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 40, (12, 12, 3), dtype=np.uint8) + np.uint8(brightness)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def saved(picture: Image.Image, suffix: str = "PNG", **more: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, suffix, **more)
    return file.getvalue()


def wav(rate: int, frequency: float, seconds: float = 0.1, dtype: Any = np.int16) -> bytes:
    file = io.BytesIO()
    samples = np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate)
    scaled = samples * 127 + 128 if dtype == np.uint8 else samples * (32767 if dtype == np.int16 else 1)
    wavfile.write(file, rate, scaled.astype(dtype))
    return file.getvalue()


def samples(numbers: Any, rate: int = 8000) -> bytes:
    file = io.BytesIO()
    wavfile.write(file, rate, numbers)
    return file.getvalue()


def content(suffix: str, index: int) -> bytes:
    return png(index, 100) if suffix == ".png" else wav(8000, 200.0 + index, 0.05)


def good_files(folder: Path, suffix: str) -> Iterator[Path]:
    for index in range(N):
        path = folder / ("x", "y")[index % 2] / f"{index}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content(suffix, index))
        yield path


def require_read(folder: Path, suffix: str, name: str, data: bytes, message: str | None) -> None:
    """Check that one more file in a folder of good ones is read, or refused with its name and a message."""
    list(good_files(folder, suffix))
    (folder / "x" / name).write_bytes(data)
    if message is None:
        assert len(load_files(folder).train) == N - 1
        return
    with pytest.raises(InvalidInputError, match=rf"{folder.name}, file 6.*{message}"):
        load_files(folder)
