"""Folders of images and recordings as data sets of the hub have them, and Common Voice: a table beside the files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autopeft.errors import InvalidInputError
from autopeft.tasks import load_files
from tests.tasks.media import N, good_files


def csv(path: Path, rows: list[dict[str, str]]) -> None:
    path.with_suffix(".csv").write_text("\n".join([",".join(rows[0]), *[",".join(row.values()) for row in rows]]))


def jsonl(path: Path, rows: list[dict[str, str]]) -> None:
    path.with_suffix(".jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def parquet(path: Path, rows: list[dict[str, str]]) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path.with_suffix(".parquet"))


@pytest.mark.parametrize("write", [csv, jsonl, parquet])
@pytest.mark.parametrize(
    ("suffix", "target", "kind", "column"),
    [
        (".png", "label", "image_classification", "image"),
        (".wav", "label", "audio_classification", "audio"),
        (".wav", "transcription", "speech_to_text", "audio"),
    ],
)
def test_metadata_names_files(write: Callable[..., Any], suffix: str, target: str, kind: str, column: str, tmp_path: Path) -> None:
    paths = list(good_files(tmp_path / "own/data", suffix))
    rows = [{"file_name": str(path.relative_to(tmp_path / "own")), target: f"said {path.parent.name}"} for path in paths]
    write(tmp_path / "own/metadata", rows)
    data = load_files(tmp_path / "own")
    assert (data.task.kind, data.task.input_columns, data.task.target_column) == (kind, (column,), target)
    assert data.task.name == "own"
    assert sum(map(len, (data.train, data.validation))) == N - 1  # the rest is test data
    assert {*data.train.inputs[0]} <= {path.read_bytes() for path in paths}


def test_metadata_goes_before_folders_and_says_where_it_is_wrong(tmp_path: Path) -> None:
    paths = list(good_files(tmp_path / "own", ".png"))
    csv(tmp_path / "own/metadata", [{"file_name": f"{path.parent.name}/{path.name}", "label": f"not {path.parent.name}"} for path in paths])
    assert load_files(tmp_path / "own").task.labels == ("not x", "not y")
    csv(tmp_path / "own/metadata", [{"file_name": f"z/{path.name}", "label": path.parent.name} for path in paths])
    with pytest.raises(InvalidInputError, match=r"own/metadata\.csv, line 2: an image can't be read: No such file .*seen from .*own"):
        load_files(tmp_path / "own")


@pytest.mark.parametrize(
    ("suffix", "target", "kind"), [(".png", "group", "image_classification"), (".wav", "group", "audio_classification")]
)
def test_a_file_name_that_is_given_holds_what_it_names(suffix: str, target: str, kind: str, tmp_path: Path) -> None:
    paths = list(good_files(tmp_path, suffix))
    csv(tmp_path / "t", [{"file_name": str(path.relative_to(tmp_path)), target: f"said {path.parent.name}"} for path in paths])
    task = load_files(tmp_path / "t.csv", text="file_name", label=target).task
    assert (task.kind, task.input_columns) == (kind, ("file_name",))


def test_a_file_name_that_is_no_medium_is_a_text(tmp_path: Path) -> None:
    csv(tmp_path / "t", [{"file_name": f"{index}.py", "text": f"def f{index}", "label": "xy"[index % 2]} for index in range(12)])
    assert load_files(tmp_path / "t.csv").task.kind == "classification"


def test_a_note_says_that_names_of_several_types_are_texts(tmp_path: Path) -> None:
    csv(tmp_path / "metadata", [{"file_name": f"{index}.{('png', 'wav')[index % 2]}", "label": "xy"[index % 2]} for index in range(12)])
    assert any("neither images alone nor recordings alone, but .png, .wav: it is a text" in note for note in load_files(tmp_path).notes)
    csv(tmp_path / "metadata", [{"file_name": f"{index}.py", "label": "xy"[index % 2]} for index in range(12)])
    assert not any("file_name" in note for note in load_files(tmp_path).notes)


def test_common_voice(tmp_path: Path) -> None:
    paths = list(good_files(tmp_path / "en/clips", ".wav"))
    lines = [f"{number}\t{path.relative_to(tmp_path / 'en/clips')}\tHe said {number}.\t2\t0" for number, path in enumerate(paths)]
    (tmp_path / "en/train.tsv").write_text("\n".join(["client_id\tpath\tsentence\tup_votes\tdown_votes", *lines]))
    data = load_files(tmp_path / "en/train.tsv")
    assert (data.task.kind, data.task.target_column) == ("speech_to_text", "sentence")
    assert {*data.train.inputs[0]} <= {path.read_bytes() for path in paths}
