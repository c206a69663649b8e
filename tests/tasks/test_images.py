"""What becomes of images that are not as they should be."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from autopeft.tasks.images import image
from tests.tasks.media import png, require_read, saved, wav


def large(width: int, height: int) -> bytes:
    """Return an image that only says that it is so large."""
    data = png(0, 100)
    header = b"IHDR" + struct.pack(">II", width, height) + data[24:29]
    return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


def held_upright() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(Image.new("RGB", (8, 4), "red"), "JPEG", exif=exif)


def in_sixteen_bits(most: int = 2**16) -> Image.Image:
    return Image.fromarray(np.linspace(0, most - 1, 64).astype(np.uint16).reshape(8, 8))


PALETTE = Image.new("RGB", (8, 8), (200, 10, 10)).quantize(4)
FILM = Image.new("RGB", (8, 8), "red")
FILES: dict[str, tuple[str, Callable[[], bytes], str | None]] = {
    "CMYK": (".jpg", lambda: saved(Image.new("CMYK", (8, 8)), "JPEG"), None),
    "transparent": (".png", lambda: saved(Image.new("RGBA", (8, 8))), None),
    "grey and transparent": (".png", lambda: saved(Image.new("LA", (8, 8))), None),
    "palette": (".png", lambda: saved(PALETTE), None),
    "palette with transparency": (".png", lambda: saved(PALETTE, transparency=bytes([0, 10, 20, 30])), None),
    "one bit": (".png", lambda: saved(Image.new("1", (8, 8))), None),
    "16 bits": (".png", lambda: saved(in_sixteen_bits()), None),
    "fractions": (".tif", lambda: saved(Image.new("F", (8, 8), 0.5), "TIFF"), "whole numbers from 0 to 65535, and are fractions"),
    "32 bits": (".tif", lambda: saved(Image.new("I", (8, 8), 2**17), "TIFF"), "whole numbers from 0 to 65535, and are 131072"),
    "a film": (".gif", lambda: saved(FILM, "GIF", save_all=True, append_images=[Image.new("RGB", (8, 8))]), None),
    "another kind than its name": (".png", lambda: saved(Image.new("RGB", (8, 8)), "JPEG"), None),
    "JPEG, cut off": (
        ".jpg",
        lambda: saved(Image.effect_noise((64, 64), 50), "JPEG")[:-300],
        "an image can't be read: image file is",
    ),
    "WebP, cut off": (".webp", lambda: saved(Image.new("RGB", (64, 64)), "WEBP")[:40], "an image can't be read"),
    "large": (".png", lambda: large(10_000, 9_500), "an image can't be read: Image size .*Make it smaller"),
    "one pixel": (".png", lambda: saved(Image.new("RGB", (1, 1))), None),
    "a page": (".jpg", lambda: b"<!DOCTYPE html><html>404", "an image can't be read: the file is none"),
    "a pointer of Git LFS": (
        ".jpg",
        lambda: b"version https://git-lfs.github.com/spec/v1",
        "an image can't be read: the file is none",
    ),
    "cut off": (".png", lambda: png(0, 100)[:70], "an image can't be read"),
    "header alone": (".png", lambda: png(0, 100)[:20], "an image can't be read"),
    "a text": (".png", lambda: b"hello", "an image can't be read: the file is none .got b'hello'"),
    "empty": (".png", lambda: b"", "an image must not be an empty file"),
    "too large": (".png", lambda: large(20_000, 20_000), "an image can't be read: Image size"),
    "a recording": (".png", lambda: wav(8000, 440.0), "an image can't be read: the file is none"),
}


@pytest.mark.parametrize(("suffix", "content", "message"), FILES.values(), ids=FILES)
def test_images_as_they_come(suffix: str, content: Callable[[], bytes], message: str | None, tmp_path: Path) -> None:
    require_read(tmp_path / "own", ".png", f"bad{suffix}", content(), message)


def test_images_of_more_than_eight_bits_are_as_bright_as_they_were() -> None:
    for data in (saved(in_sixteen_bits()), saved(in_sixteen_bits(), "TIFF"), saved(Image.new("I", (8, 8), 2**15), "TIFF")):
        assert np.asarray(image(data)).mean() == pytest.approx(127.5, abs=1)


def test_an_image_is_the_right_way_up_and_the_first_of_a_film() -> None:
    assert image(held_upright()).size == (4, 8)
    film = saved(FILM, "GIF", save_all=True, append_images=[Image.new("RGB", (8, 8), "blue")])
    assert image(film).getpixel((0, 0)) == (255, 0, 0)
    assert image(saved(PALETTE)).getpixel((0, 0)) == (200, 10, 10)
    assert image(saved(Image.new("CMYK", (8, 8)), "JPEG")).getpixel((0, 0)) == (255, 255, 255)
