"""What becomes of recordings that are not as they should be."""

import io
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import wavfile

from autopeft.errors import InvalidInputError
from autopeft.tasks.sounds import READING_RATE, sound, sound_length
from tests.tasks.media import png, require_read, samples, wav


def not_numbers() -> bytes:
    file = io.BytesIO()
    wavfile.write(file, 8000, np.full(100, np.nan, dtype=np.float32))
    return file.getvalue()


def of_24_bits() -> bytes:
    form = struct.pack("<IHHIIHH", 16, 1, 1, 8000, 24_000, 3, 24)
    return b"RIFF" + struct.pack("<I", 66) + b"WAVEfmt " + form + b"data" + struct.pack("<I", 30) + bytes(30)


def with_a_foreign_part() -> bytes:
    data = wav(8000, 440.0)
    return data[:36] + b"bext" + struct.pack("<I", 4) + bytes(4) + data[36:]


def without_a_rate() -> bytes:
    data = wav(8000, 440.0)
    return data[:24] + struct.pack("<I", 0) + data[28:]


def header_says(place: int, form: str, value: int) -> bytes:
    data = wav(8000, 440.0)
    return data[:place] + struct.pack(form, value) + data[place + struct.calcsize(form) :]


def compressed(form: str, subtype: str | None = None, *, rate: int = 16_000, channels: int = 1) -> bytes:
    """Return a second of a tone of 440 Hz at half of the loudness."""
    soundfile = pytest.importorskip("soundfile")
    file = io.BytesIO()
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    soundfile.write(file, np.stack([tone] * channels, 1), rate, format=form, subtype=subtype)
    return file.getvalue()


def promising() -> bytes:
    data = compressed("MP3")
    at = data.index(b"Xing") if b"Xing" in data else data.index(b"Info")
    return data[: at + 8] + struct.pack(">I", 2**31) + data[at + 12 :]


WAVE = 0.5 * np.sin(np.arange(800) / 5)
FILES: dict[str, tuple[str, Callable[[], bytes], str | None]] = {
    "two channels": (".wav", lambda: samples(np.stack([WAVE, -WAVE], 1).astype(np.float32)), None),
    "8 bits": (".wav", lambda: samples((127 * (WAVE + 1)).astype(np.uint8)), None),
    "floats": (".wav", lambda: samples(WAVE), None),
    "an odd rate": (".wav", lambda: samples(WAVE.astype(np.float32), 44_056), None),
    "a rate of 7": (".wav", lambda: samples(WAVE.astype(np.float32), 7), "must have 1,000 to 1,000,000 samples a second .got 7"),
    "a rate of 4 GHz": (".wav", lambda: samples(WAVE.astype(np.float32), 2**29), "1,000,000 samples a second .got 536870912"),
    "infinite": (".wav", lambda: samples(np.full(9, np.inf, dtype=np.float32)), "a recording's samples must be finite numbers"),
    "no channels": (".wav", lambda: header_says(22, "<H", 0), "a recording can't be read: its header contradicts itself"),
    "a wrong length in front": (".wav", lambda: header_says(4, "<I", 7), "a recording can't be read: its header contradicts itself"),
    "no length": (".wav", lambda: header_says(40, "<I", 0), "a recording must have a sample"),
    "a length that was not known": (".wav", lambda: header_says(4, "<I", 2**32 - 1), "can't be read: Reached EOF prematurely"),
    "half a sample": (".wav", lambda: wav(8000, 440.0)[:-1], "a recording can't be read: .*multiple of element size"),
    "A-law": (".wav", lambda: header_says(20, "<H", 6), r"Unknown wave file format: ALAW.*Save it as WAV of whole numbers .PCM."),
    "FLAC": (".flac", lambda: compressed("FLAC"), None),
    "FLAC: 24 bits, two channels": (".flac", lambda: compressed("FLAC", "PCM_24", channels=2), None),
    "FLAC: another kind than its name": (".wav", lambda: compressed("FLAC"), None),
    "FLAC: cut off": (".flac", lambda: compressed("FLAC")[:-300], "a recording in FLAC can't be read: .*Save it as WAV"),
    "FLAC: header alone": (".flac", lambda: b"fLaC" + bytes(100), "a recording in FLAC can't be read: .*Save it as WAV"),
    "Vorbis": (".ogg", lambda: compressed("OGG"), None),
    "Vorbis: cut off": (".oga", lambda: compressed("OGG")[:-600], "a recording in Ogg can't be read|must have a sample"),
    "Opus": (".opus", lambda: compressed("OGG", "OPUS"), None),
    "MP3": (".mp3", lambda: compressed("MP3"), None),
    "MP3: with a title": (".mp3", lambda: b"ID3\x03\0\0\0\0\0\x0a" + bytes(10) + compressed("MP3"), None),
    "MP3: cut off": (".MP3", lambda: compressed("MP3")[:-600], r"a recording in MP3 is cut off: of 16,000 samples there are \d+,\d+"),
    "MP3: a header that promises too much": (".mp3", promising, r"a recording in MP3 is cut off: of [\d,]{15,} samples"),
    "MP3: header alone": (".mp3", lambda: b"ID3\x03" + bytes(200), "a recording in MP3 can't be read: .*Save it as WAV"),
    "AAC": (".wav", lambda: b"\0\0\0\x20ftypM4A " + bytes(40), "a recording can't be read: .*Save it as WAV"),
    "a page": (".wav", lambda: b"<!DOCTYPE html><html>404", "a recording can't be read"),
    "silence": (".wav", lambda: samples(np.zeros(800, dtype=np.int16)), None),
    "something behind": (".wav", lambda: wav(8000, 440.0) + b"LIST\x04\0\0\0abcd", None),
    "cut off": (".wav", lambda: wav(8000, 440.0)[:100], "a recording can't be read: Reached EOF"),
    "half a header": (".wav", lambda: wav(8000, 440.0)[:20], "a recording can't be read"),
    "empty": (".wav", lambda: b"", "a recording must not be an empty file"),
    "no sample": (".wav", lambda: wav(8000, 440.0, 0.0), "a recording must have a sample"),
    "not numbers": (".wav", not_numbers, "a recording's samples must be finite numbers"),
    "no rate": (".wav", without_a_rate, "a recording can't be read"),
    "an image": (".wav", lambda: png(0, 100), "a recording can't be read"),
    "24 bits": (".wav", of_24_bits, None),
    "a part that is none": (".wav", with_a_foreign_part, None),
}


@pytest.mark.parametrize(("suffix", "content", "message"), FILES.values(), ids=FILES)
def test_sounds_as_they_come(suffix: str, content: Callable[[], bytes], message: str | None, tmp_path: Path) -> None:
    require_read(tmp_path / "own", ".wav", f"bad{suffix}", content(), message)


@pytest.mark.parametrize("form", [np.int16, np.int32, np.float32, np.float64, np.uint8])
def test_samples_are_the_same_in_every_form(form: Any) -> None:
    scale = 128 if form is np.uint8 else 1 if np.issubdtype(form, np.floating) else np.iinfo(form).max
    stored = np.round(WAVE * 127 + 128) if form is np.uint8 else WAVE * scale
    for channels in (stored, np.stack([stored, stored], 1)):
        assert np.abs(sound(samples(channels.astype(form), READING_RATE)) - WAVE).max() < 0.02


@pytest.mark.parametrize(("form", "subtype"), [("FLAC", None), ("OGG", None), ("OGG", "OPUS"), ("MP3", None)])
@pytest.mark.parametrize("rate", [8000, 16_000, 48_000])
def test_what_is_compressed_sounds_as_before(form: str, subtype: str | None, rate: int) -> None:
    data = compressed(form, subtype, rate=rate, channels=2)
    found = sound(data)
    assert sound_length(data) == len(found) == READING_RATE
    assert found.dtype == np.float32
    spectrum = np.abs(np.fft.rfft(found))
    assert np.argmax(spectrum) == 440
    assert np.sqrt((found**2).mean()) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


def test_what_is_compressed_needs_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    data = compressed("FLAC")
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(InvalidInputError, match=r"FLAC needs the package soundfile.*pip install 'autopeft\[audio\]'"):
        sound(data)
    assert len(sound(wav(8000, 440.0))) == 1600
