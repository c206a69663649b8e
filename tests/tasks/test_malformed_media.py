"""What becomes of images, recordings and the files and folders that name them, where they are not as they should be."""

import base64
import io
import os
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from scipy.io import wavfile

from autopeft.errors import InvalidInputError
from autopeft.tasks import load_files
from autopeft.tasks.checks import findings
from autopeft.tasks.media import READING_RATE, image, sound
from tests.tasks.test_other_families import png, wav

N = 9
LABELS = ["xy"[index % 2] for index in range(N)]


def large(width: int, height: int) -> bytes:
    """Return an image that only says that it is so large."""
    data = png(0, 100)
    header = b"IHDR" + struct.pack(">II", width, height) + data[24:29]
    return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


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


def saved(picture: Image.Image, suffix: str = "PNG", **more: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, suffix, **more)
    return file.getvalue()


def held_upright() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(Image.new("RGB", (8, 4), "red"), "JPEG", exif=exif)


def in_sixteen_bits(most: int = 2**16) -> Image.Image:
    return Image.fromarray(np.linspace(0, most - 1, 64).astype(np.uint16).reshape(8, 8))


def samples(numbers: Any, rate: int = 8000) -> bytes:
    file = io.BytesIO()
    wavfile.write(file, rate, numbers)
    return file.getvalue()


def header_says(place: int, form: str, value: int) -> bytes:
    data = wav(8000, 440.0)
    return data[:place] + struct.pack(form, value) + data[place + struct.calcsize(form) :]


WAVE = 0.5 * np.sin(np.arange(800) / 5)
MEDIA = [("image", ".png", "an image"), ("audio", ".wav", "a recording")]
KINDS = [(*MEDIA[0], "label"), (*MEDIA[1], "label"), (*MEDIA[1], "text")]
"""Column of files, suffix, what a file is, and column to predict: recordings with a text are transcribed."""
PALETTE = Image.new("RGB", (8, 8), (200, 10, 10)).quantize(4)
FILM = Image.new("RGB", (8, 8), "red")
FILES: dict[str, tuple[str, Callable[[], bytes], str | None]] = {
    "image: CMYK": (".jpg", lambda: saved(Image.new("CMYK", (8, 8)), "JPEG"), None),
    "image: transparent": (".png", lambda: saved(Image.new("RGBA", (8, 8))), None),
    "image: grey and transparent": (".png", lambda: saved(Image.new("LA", (8, 8))), None),
    "image: palette": (".png", lambda: saved(PALETTE), None),
    "image: palette with transparency": (".png", lambda: saved(PALETTE, transparency=bytes([0, 10, 20, 30])), None),
    "image: one bit": (".png", lambda: saved(Image.new("1", (8, 8))), None),
    "image: 16 bits": (".png", lambda: saved(in_sixteen_bits()), None),
    "image: fractions": (".tif", lambda: saved(Image.new("F", (8, 8), 0.5), "TIFF"), "whole numbers from 0 to 65535, and are fractions"),
    "image: 32 bits": (".tif", lambda: saved(Image.new("I", (8, 8), 2**17), "TIFF"), "whole numbers from 0 to 65535, and are 131072"),
    "image: a film": (".gif", lambda: saved(FILM, "GIF", save_all=True, append_images=[Image.new("RGB", (8, 8))]), None),
    "image: another kind than its name": (".png", lambda: saved(Image.new("RGB", (8, 8)), "JPEG"), None),
    "image: JPEG, cut off": (
        ".jpg",
        lambda: saved(Image.effect_noise((64, 64), 50), "JPEG")[:-300],
        "an image can't be read: image file is",
    ),
    "image: WebP, cut off": (".webp", lambda: saved(Image.new("RGB", (64, 64)), "WEBP")[:40], "an image can't be read"),
    "image: large": (".png", lambda: large(10_000, 9_500), "an image can't be read: Image size .*Make it smaller"),
    "image: one pixel": (".png", lambda: saved(Image.new("RGB", (1, 1))), None),
    "image: a page": (".jpg", lambda: b"<!DOCTYPE html><html>404", "an image can't be read: the file is none"),
    "image: a pointer of Git LFS": (
        ".jpg",
        lambda: b"version https://git-lfs.github.com/spec/v1",
        "an image can't be read: the file is none",
    ),
    "sound: two channels": (".wav", lambda: samples(np.stack([WAVE, -WAVE], 1).astype(np.float32)), None),
    "sound: 8 bits": (".wav", lambda: samples((127 * (WAVE + 1)).astype(np.uint8)), None),
    "sound: floats": (".wav", lambda: samples(WAVE), None),
    "sound: an odd rate": (".wav", lambda: samples(WAVE.astype(np.float32), 44_056), None),
    "sound: a rate of 7": (".wav", lambda: samples(WAVE.astype(np.float32), 7), "must have 1,000 to 1,000,000 samples a second .got 7"),
    "sound: a rate of 4 GHz": (".wav", lambda: samples(WAVE.astype(np.float32), 2**29), "1,000,000 samples a second .got 536870912"),
    "sound: infinite": (".wav", lambda: samples(np.full(9, np.inf, dtype=np.float32)), "a recording's samples must be finite numbers"),
    "sound: no channels": (".wav", lambda: header_says(22, "<H", 0), "a recording can't be read: its header contradicts itself"),
    "sound: a wrong length in front": (".wav", lambda: header_says(4, "<I", 7), "a recording can't be read: its header contradicts itself"),
    "sound: no length": (".wav", lambda: header_says(40, "<I", 0), "a recording must have a sample"),
    "sound: a length that was not known": (".wav", lambda: header_says(4, "<I", 2**32 - 1), "can't be read: Reached EOF prematurely"),
    "sound: half a sample": (".wav", lambda: wav(8000, 440.0)[:-1], "a recording can't be read: .*multiple of element size"),
    "sound: A-law": (".wav", lambda: header_says(20, "<H", 6), r"Unknown wave file format: ALAW.*Save it as WAV of whole numbers .PCM."),
    "sound: FLAC": (".wav", lambda: b"fLaC" + bytes(100), "a recording can't be read.*Save it as WAV"),
    "sound: a page": (".wav", lambda: b"<!DOCTYPE html><html>404", "a recording can't be read"),
    "sound: silence": (".wav", lambda: samples(np.zeros(800, dtype=np.int16)), None),
    "sound: something behind": (".wav", lambda: wav(8000, 440.0) + b"LIST\x04\0\0\0abcd", None),
    "image: cut off": (".png", lambda: png(0, 100)[:70], "an image can't be read"),
    "image: header alone": (".png", lambda: png(0, 100)[:20], "an image can't be read"),
    "image: a text": (".png", lambda: b"hello", "an image can't be read: the file is none .got b'hello'"),
    "image: empty": (".png", lambda: b"", "an image must not be an empty file"),
    "image: too large": (".png", lambda: large(20_000, 20_000), "an image can't be read: Image size"),
    "image: a recording": (".png", lambda: wav(8000, 440.0), "an image can't be read: the file is none"),
    "sound: cut off": (".wav", lambda: wav(8000, 440.0)[:100], "a recording can't be read: Reached EOF"),
    "sound: half a header": (".wav", lambda: wav(8000, 440.0)[:20], "a recording can't be read"),
    "sound: MP3": (".wav", lambda: b"ID3\x03" + bytes(200), "a recording can't be read.*Save it as WAV"),
    "sound: empty": (".wav", lambda: b"", "a recording must not be an empty file"),
    "sound: no sample": (".wav", lambda: wav(8000, 440.0, 0.0), "a recording must have a sample"),
    "sound: not numbers": (".wav", not_numbers, "a recording's samples must be finite numbers"),
    "sound: no rate": (".wav", without_a_rate, "a recording can't be read"),
    "sound: an image": (".wav", lambda: png(0, 100), "a recording can't be read"),
    "sound: 24 bits": (".wav", of_24_bits, None),
    "sound: a part that is none": (".wav", with_a_foreign_part, None),
}


def good_files(folder: Path, suffix: str) -> Iterator[Path]:
    for index in range(N):
        path = folder / ("x", "y")[index % 2] / f"{index}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content(suffix, index))
        yield path


@pytest.mark.parametrize(("suffix", "content", "message"), FILES.values(), ids=FILES)
def test_images_and_sounds(suffix: str, content: Callable[[], bytes], message: str | None, tmp_path: Path) -> None:
    list(good_files(tmp_path / "own", ".wav" if suffix == ".wav" else ".png"))
    (tmp_path / "own" / "x" / f"bad{suffix}").write_bytes(content())
    if message is None:
        assert len(load_files(tmp_path / "own").train) == N - 1
        return
    with pytest.raises(InvalidInputError, match=rf"own, file 6.*{message}"):
        load_files(tmp_path / "own")


def test_images_of_more_than_eight_bits_are_as_bright_as_they_were() -> None:
    for data in (saved(in_sixteen_bits()), saved(in_sixteen_bits(), "TIFF"), saved(Image.new("I", (8, 8), 2**15), "TIFF")):
        assert np.asarray(image(data)).mean() == pytest.approx(127.5, abs=1)


def test_an_image_is_the_right_way_up_and_the_first_of_a_film() -> None:
    assert image(held_upright()).size == (4, 8)
    film = saved(FILM, "GIF", save_all=True, append_images=[Image.new("RGB", (8, 8), "blue")])
    assert image(film).getpixel((0, 0)) == (255, 0, 0)
    assert image(saved(PALETTE)).getpixel((0, 0)) == (200, 10, 10)
    assert image(saved(Image.new("CMYK", (8, 8)), "JPEG")).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("form", [np.int16, np.int32, np.float32, np.float64, np.uint8])
def test_samples_are_the_same_in_every_form(form: Any) -> None:
    scale = 128 if form is np.uint8 else 1 if np.issubdtype(form, np.floating) else np.iinfo(form).max
    stored = np.round(WAVE * 127 + 128) if form is np.uint8 else WAVE * scale
    for channels in (stored, np.stack([stored, stored], 1)):
        assert np.abs(sound(samples(channels.astype(form), READING_RATE)) - WAVE).max() < 0.02


def test_what_isn_t_read_in_a_folder_is_said(tmp_path: Path) -> None:
    paths = list(good_files(tmp_path / "own", ".png"))
    for name in ("a.svg", "b.wav", ".hidden.png"):
        (tmp_path / "own/x" / name).write_bytes(b"a")
    (tmp_path / "own/y/gone.png").symlink_to("nowhere.png")
    (tmp_path / "own/y/folder.png").mkdir()
    (tmp_path / "own/.cache").mkdir()
    (tmp_path / "own/.cache/c.png").write_bytes(paths[0].read_bytes())
    data = load_files(tmp_path / "own")
    assert data.task.labels == ("x", "y")
    assert len(data.train) == N - 2
    (note,) = [note for note in data.notes if "left out" in note]
    assert re.search(r"own: 4 of 13 files are left out, x/a\.svg among them; files in \.png, .* are read$", note)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    list(good_files(tmp_path / "own", ".png"))
    return tmp_path / "own"


def test_what_systems_leave_in_folders_is_no_example(own: Path) -> None:
    for name in (".DS_Store", "Thumbs.db", "x/.DS_Store", "x/._0.png", "x/Thumbs.db"):
        (own / name).write_bytes(b"a")
    data = load_files(own)
    assert (data.task.labels, len(data.train)) == (("x", "y"), N - 2)
    (note,) = [note for note in data.notes if "left out" in note]
    assert note.startswith(f"{own}: 1 of {N + 1} files are left out, x/Thumbs.db among them")


@pytest.mark.parametrize("inside", [None, "sub/0.png"])
def test_a_folder_without_files_right_in_it_is_no_class(inside: str | None, own: Path) -> None:
    (own / "z").mkdir()
    if inside:
        (own / "z/sub").mkdir()
        (own / "z/sub/0.png").write_bytes(content(".png", 0))
    data = load_files(own)
    assert data.task.labels == ("x", "y")
    assert any(re.search(r"warning: .*own: no class is made of 'z', as no file in \.png, .* lies right in it", note) for note in data.notes)


def test_a_folder_too_high_up(own: Path) -> None:
    own.rename(own.parent / "train")
    (own / "a").mkdir(parents=True)
    (own.parent / "train").rename(own / "a/train")
    with pytest.raises(InvalidInputError, match=r"a folder without a folder of images .*There are some in folders of .*own/a/train\.$"):
        load_files(own / "a")


def test_one_class_is_none(own: Path) -> None:
    for file in (own / "y").iterdir():
        file.unlink()
    with pytest.raises(InvalidInputError, match=r"own: the label column 'label' must hold two or more classes .got \['x'\]"):
        load_files(own)


def test_names_that_are_no_unicode(own: Path) -> None:
    strange = os.fsencode(own / "x") + b"/gr\xfcn.png"
    os.rename(own / "x/0.png", strange)
    (own / "y/1.png").rename(own / "y/a\nb.png")
    assert len(load_files(own).train) == N - 2
    Path(os.fsdecode(strange)).write_bytes(b"a")
    with pytest.raises(InvalidInputError, match=r"own, file 5, x/gr.udcfcn\.png: an image can't be read") as found:
        load_files(own)
    str(found.value).encode()
    os.rename(own / "x", os.fsencode(own) + b"/gr\xfcn")
    with pytest.raises(InvalidInputError, match=r"own: the name of a class must be Unicode .*gr.+udcfcn.*Rename its folder"):
        load_files(own)


def test_a_folder_that_may_not_be_read(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = Path.iterdir

    def refused(path: Path) -> Iterator[Path]:
        if path.name == "y":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(InvalidInputError, match=r"the data file can't be read: Permission denied .got '.*own/y'"):
        load_files(own)


def test_the_same_file_in_two_splits_or_classes(own: Path) -> None:
    (own / "y/again.png").write_bytes((own / "x/0.png").read_bytes())
    data = load_files(own, own)
    said = "\n".join(findings(data, data.task.low_cost))
    assert f"1 of {N + 1} validation examples have the same input as another one" in said
    assert re.search(rf"warning: \d+ of {N + 1} validation examples stand in train too", said)


@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".txt"])
def test_a_folder_of_other_files(suffix: str, tmp_path: Path) -> None:
    for name in "xy":
        (tmp_path / "own" / name).mkdir(parents=True)
        (tmp_path / "own" / name / f"a{suffix}").write_bytes(b"a")
    with pytest.raises(InvalidInputError, match=r"a folder without a folder of images or recordings for each class.*recordings in \.wav"):
        load_files(tmp_path / "own")


@pytest.mark.parametrize("cell", ["own/x/none.png", "", "own", "http://localhost/a.png", "t.csv"])
@pytest.mark.parametrize(("column", "suffix", "what", "target"), KINDS)
def test_a_path_of_no_file(cell: str, column: str, suffix: str, what: str, target: str, tmp_path: Path) -> None:
    lines = [f"{path.relative_to(tmp_path)},{path.parent.name}" for path in good_files(tmp_path / "own", suffix)]
    (tmp_path / "t.csv").write_text("\n".join([f"{column},{target}", *lines, f"{cell},x"]))
    with pytest.raises(InvalidInputError, match=rf"t\.csv, line {N + 2}[:,] .*{what}"):
        load_files(tmp_path / "t.csv")


OTHER = {".png": ".wav", ".wav": ".png"}
NOT_CONTENT = "must hold a path or the content of"
CELLS: dict[str, tuple[Callable[[str], Any], str | None]] = {
    "bytes as the hub has them": (lambda suffix: {"bytes": content(suffix, 0), "path": None}, None),
    "bytes beside a path that is gone": (lambda suffix: {"bytes": content(suffix, 0), "path": f"gone{suffix}"}, None),
    "cut off": (lambda suffix: {"bytes": content(suffix, 0)[:70], "path": None}, "row 10: {what} can't be read"),
    "no bytes": (lambda suffix: {"bytes": b"", "path": None}, f"row 10: the column .* {NOT_CONTENT} {{what}}"),
    "nothing in it": (lambda suffix: {"bytes": None, "path": None}, f"row 10: the column .* {NOT_CONTENT} {{what}}"),
    "nothing": (lambda suffix: None, f"row 10: the column .* {NOT_CONTENT} {{what}} .got None"),
    "a path to nowhere": (lambda suffix: {"bytes": None, "path": "no.file"}, "row 10: {what} can't be read: No such file"),
    "a text": (lambda suffix: {"bytes": b"hello", "path": None}, "row 10: {what} can't be read"),
    "another medium": (lambda suffix: {"bytes": content(OTHER[suffix], 0), "path": None}, "row 10: {what} can't be read"),
}
COLUMNS_OF_FILES: dict[str, tuple[Callable[[list[bytes]], Any], str | None]] = {
    "bare bytes": (lambda files: files, None),
    "large binary": (lambda files: pa.array(files, pa.large_binary()), None),
    "encoded by a dictionary": (lambda files: pa.array(files).dictionary_encode(), None),
    "base64": (lambda files: [base64.b64encode(one).decode() for one in files], "row 1: {what} can't be read: .*base64"),
    "numbers": (lambda files: list(range(len(files))), f"row 1: the column .* {NOT_CONTENT} {{what}} .got 0"),
    "lists": (lambda files: [[one] for one in files], f"row 1: the column .* {NOT_CONTENT} {{what}}"),
    "samples": (lambda files: [[[0, 1], [1, 0]] for _ in files], f"row 1: the column .* {NOT_CONTENT} {{what}}"),
    "other names": (lambda files: [{"data": one} for one in files], f"row 1: the column .* {NOT_CONTENT} {{what}}"),
}


def content(suffix: str, index: int) -> bytes:
    return png(index, 100) if suffix == ".png" else wav(8000, 200.0 + index, 0.05)


@pytest.mark.parametrize(("column", "suffix", "what", "target"), KINDS)
@pytest.mark.parametrize(("cell", "message"), CELLS.values(), ids=CELLS)
def test_a_cell_of_parquet_with_files(
    cell: Callable[[str], Any], message: str | None, column: str, suffix: str, what: str, target: str, tmp_path: Path
) -> None:
    cells = [{"bytes": content(suffix, index), "path": None} for index in range(N)]
    read_files(tmp_path, {column: [*cells, cell(suffix)], target: [*LABELS, "y"]}, what, message)


@pytest.mark.parametrize(("column", "suffix", "what", "target"), KINDS)
@pytest.mark.parametrize(("cells", "message"), COLUMNS_OF_FILES.values(), ids=COLUMNS_OF_FILES)
def test_a_column_of_parquet_with_files(
    cells: Callable[[list[bytes]], Any], message: str | None, column: str, suffix: str, what: str, target: str, tmp_path: Path
) -> None:
    files = [content(suffix, index) for index in range(N)]
    read_files(tmp_path, {column: cells(files), target: LABELS}, what, message)


def read_files(folder: Path, columns: dict[str, Any], what: str, message: str | None) -> None:
    column, target = columns
    pq.write_table(pa.table(columns), folder / "t.parquet")
    if message is None:
        kind = "speech_to_text" if target == "text" else f"{column}_classification"
        assert load_files(folder / "t.parquet").task.kind == kind
        return
    with pytest.raises(InvalidInputError, match=rf"t\.parquet, {message.format(what=what)}"):
        load_files(folder / "t.parquet")


PATHS: dict[str, tuple[Callable[[str], str], str | None]] = {
    "byte order mark": (lambda text: f"\ufeff{text}", None),
    "semicolons": (lambda text: text.replace(",", ";"), None),
    "line ends of Windows": (lambda text: text.replace("\n", "\r\n"), None),
    "points before": (lambda text: text.replace("own/", "./own/"), None),
    "whole paths": (lambda text: text.replace("own/", f"{Path.cwd()}/own/"), None),
    "quotes": (lambda text: re.sub(r"^(own[^,]*)", r'"\1"', text, flags=re.MULTILINE), None),
    "a column more": (lambda text: text.replace("\n", ",1\n").replace("label,1", "label,id"), None),
    "no header": (lambda text: text.split("\n", 1)[1], "which columns to read"),
    "no label": (lambda text: f"{text}own/x/0{{suffix}},\n", "line 11: the label in column 'label' is missing"),
    "a cell too few": (lambda text: f"{text}own/x/0{{suffix}}\n", "line 11: a row must have 2 cells"),
    "backslashes": (lambda text: f"{text}own\\x\\0{{suffix}},x\n", "line 11: {what} can't be read: No such file"),
    "a long path": (lambda text: f"{text}{'x' * 100_000},x\n", "line 11: {what} can't be read: File name too long"),
    "an open quote": (lambda text: f'{text}"own/x/0{{suffix}},x\n', "line 11: not a valid row"),
    "one class": (lambda text: text.replace(",y", ",x"), "the label column 'label' must hold two or more classes"),
}


@pytest.mark.parametrize(("column", "suffix", "what"), MEDIA)
@pytest.mark.parametrize(("change", "message"), PATHS.values(), ids=PATHS)
def test_a_table_of_paths(
    change: Callable[[str], str], message: str | None, column: str, suffix: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [f"{path.relative_to(tmp_path)},{path.parent.name}\n" for path in good_files(tmp_path / "own", suffix)]
    (tmp_path / "t.csv").write_text(change("".join([f"{column},label\n", *lines])).replace("{suffix}", suffix), encoding="utf-8")
    if message is None:
        assert load_files(tmp_path / "t.csv").task.kind == f"{column}_classification"
        return
    with pytest.raises(InvalidInputError, match=rf"t\.csv.* {message.format(what=what)}"):
        load_files(tmp_path / "t.csv")


TRANSCRIPTS: dict[str, tuple[str, str | None]] = {
    "none": ("own/x/0.wav,", "line 11: the column 'text' must not be empty"),
    "spaces": ("own/x/0.wav,  ", "line 11: the column 'text' must not be empty"),
    "long": (f"own/x/0.wav,{'x' * 100_000}", None),
    "a comma": ("own/x/0.wav,well, yes", "line 11: a row must have 2 cells"),
    "a comma in quotes": ('own/x/0.wav,"well, yes"', None),
    "other writing": ("own/x/0.wav,\u4f60\u597d \u0645\u0631\u062d\u0628\u0627", None),
    "numbers": ("own/x/0.wav,42", None),
    "no cell": ("own/x/0.wav", "line 11: a row must have 2 cells"),
    "an open quote": ('own/x/0.wav,"yes', "line 11: not a valid row"),
    "a file that is gone": ("own/x/none.wav,yes", "line 11: a recording can't be read: No such file"),
    "backslashes": ("own\\x\\0.wav,yes", "line 11: a recording can't be read: No such file"),
    "an image": ("image.png,yes", "line 11, image.png: a recording can't be read"),
    "nothing in a file": ("empty.wav,yes", "line 11: a recording must not be an empty file"),
    "a recording cut off": ("cut.wav,yes", "line 11, cut.wav: a recording can't be read: Reached EOF"),
    "a folder": ("own/x,yes", "line 11: a recording can't be read: Is a directory"),
}


@pytest.mark.parametrize(("line", "message"), TRANSCRIPTS.values(), ids=TRANSCRIPTS)
def test_a_table_of_transcripts(line: str, message: str | None, tmp_path: Path) -> None:
    lines = [f"{path.relative_to(tmp_path)},a {path.stem}" for path in good_files(tmp_path / "own", ".wav")]
    for name, data in {"image.png": png(0, 100), "empty.wav": b"", "cut.wav": wav(8000, 440.0)[:100]}.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "t.csv").write_text("\n".join(["audio,text", *lines, line]), encoding="utf-8")
    if message is None:
        assert load_files(tmp_path / "t.csv").task.kind == "speech_to_text"
        return
    with pytest.raises(InvalidInputError, match=rf"t\.csv, {message}"):
        load_files(tmp_path / "t.csv")


def test_transcripts_that_are_all_alike(tmp_path: Path) -> None:
    lines = [f"{path.relative_to(tmp_path)},yes" for path in good_files(tmp_path / "own", ".wav")]
    (tmp_path / "t.csv").write_text("\n".join(["audio,text", *lines]))
    with pytest.raises(InvalidInputError, match="the training transcripts must differ"):
        load_files(tmp_path / "t.csv")
