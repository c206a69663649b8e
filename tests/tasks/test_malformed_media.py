"""What becomes of files and folders that name images and recordings, where they are not as they should be."""

import base64
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autopeft.errors import InvalidInputError
from autopeft.tasks import load_files
from autopeft.tasks.checks import findings
from tests.tasks.media import KINDS, LABELS, MEDIA, N, content, good_files, png, wav


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


@pytest.mark.parametrize("suffix", [".m4a", ".mp4", ".txt"])
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
