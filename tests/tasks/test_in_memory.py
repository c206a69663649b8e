"""Examples in memory become a file that reads back as what they were."""

import sys
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from autopeft.errors import InvalidInputError
from autopeft.tasks.in_memory import to_file
from autopeft.tasks.reading import read_table


def read_back(examples: object, folder: Path) -> dict[str, list[object]]:
    name, content = to_file(examples, "train")
    (folder / name).write_bytes(content)
    return {name: list(cells) for name, cells in read_table(folder / name).columns.items()}


TEXTS = ["plain", 'ein "Zitat",\n zwei Zeilen', "\u2028 \U0001f600 \x00"]


def as_frame(columns: dict[str, list[Any]]) -> object:
    return pd.DataFrame(columns, index=[7, 7, 3])


def as_dataset(columns: dict[str, list[Any]]) -> object:
    import datasets

    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    coded = columns | {"label": [["no", "yes"].index(one) for one in columns["label"]]}
    return datasets.Dataset.from_dict(coded, features).with_format("numpy")


def as_rows(columns: dict[str, list[Any]]) -> object:
    return tuple(dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True))


@pytest.mark.parametrize("make", [as_frame, as_dataset, as_rows])
def test_all_forms_read_back_alike(make: Callable[[dict[str, list[Any]]], object], tmp_path: Path) -> None:
    columns: dict[str, list[Any]] = {"text": TEXTS, "label": ["yes", "no", "yes"]}
    assert read_back(make(columns), tmp_path) == columns


class Answer(str, Enum):  # noqa: UP042 - whose str() is "Answer.YES"
    YES = "yes"
    NO = "no"


def test_cells_become_what_a_file_can_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame(
        {
            "missing": ["a", None, float("nan")],
            "count": pd.array([1, 2, pd.NA], dtype="Int64"),
            "score": np.array([0.1, np.nan, 3], dtype=np.float64),
            "day": [date(2026, 1, 2), pd.Timestamp("2026-01-02 03:04"), pd.NaT],
            "list": [np.array([1, 2]), ["x"], {"inner": (np.float32(0.5), Decimal("1.5"))}],
            "kind": pd.Categorical(["u", "v", "u"]),
            "path": [Path("a.png")] * 3,
            "member": [Answer.YES, Answer.NO, "maybe"],
            "not a number": [[Decimal("NaN")], [Decimal("sNaN")], [pd.NaT]],
        }
    )
    found = read_back(frame, tmp_path)
    assert found["missing"] == ["a", None, None]
    assert found["count"] == [1, 2, None]
    assert found["score"] == [0.1, None, 3.0]
    assert found["day"] == ["2026-01-02", "2026-01-02T03:04:00", None]
    assert found["list"] == [[1, 2], ["x"], {"inner": [0.5, 1.5]}]
    assert found["kind"] == ["u", "v", "u"]
    assert found["member"] == ["yes", "no", "maybe"]
    assert found["not a number"] == [[None]] * 3
    assert found["path"] == [str(tmp_path / "a.png")] * 3


def test_bytes_go_into_parquet(tmp_path: Path) -> None:
    rows = [{"image": {"bytes": b"\x00\xff", "path": None}, "label": "a"}, {"image": {"bytes": b"", "path": "p"}, "label": "b"}]
    assert to_file(rows, "test")[0] == "test.parquet"
    assert read_back(rows, tmp_path)["image"] == [row["image"] for row in rows]


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ([], r"train must hold an example \(got '0 rows'\)"),
        (pd.DataFrame({"text": []}), "train must hold an example"),
        ([{"text": "a"}, "b"], "train, row 2: must be a dictionary"),
        ([{"text": "a"}, {1: "b"}], "train, row 2: must be a dictionary"),
        ([{"text": "a"}, {"text": {"b"}}], r"train, row 2: the column 'text' must hold text.*\(got 'set'\)"),
        (pd.DataFrame({"text": pd.cut([1, 5], 2)}), r"'text' must hold text.*\(got 'Interval'\).*\.astype\(str\)"),
        ([{"text": "a\ud800"}], "train, row 1: text must be Unicode"),
        ([{"image": b"a"}, {"image": 3}], "cells of the column 'image' must be of one type"),
        (pd.DataFrame([["a", "b"]], columns=["text", "text"]), "train must name every column once"),
        (pd.Series(["a"]), r"must be a path, a pandas DataFrame.*\(got 'Series'\)"),
        ({"text": ["a"]}, "list with a dictionary per row"),
        (3, "train must be a path"),
    ],
    ids=str,
)
def test_what_is_wrong_is_named(examples: object, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        to_file(examples, "train")


def test_what_python_itself_cannot_write_is_named() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(
        InvalidInputError, match=r"train, row 2: the column 'label' must hold numbers of at most 4,096 bits.*a number too long"
    ):
        to_file([{"label": 1}, {"label": [10**5000]}], "train")
    with pytest.raises(InvalidInputError, match="train, row 1: a cell must not hold itself"):
        to_file([{"label": endless}], "train")


def test_the_splits_of_a_dataset_are_handed_over_one_by_one() -> None:
    import datasets

    splits = datasets.DatasetDict({"train": datasets.Dataset.from_dict({"text": ["a"]})})
    with pytest.raises(InvalidInputError, match=r"such as train=splits\['train'\]"):
        to_file(splits, "train")


def test_neither_library_is_needed_for_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pandas", "datasets"):
        monkeypatch.setitem(sys.modules, name, None)  # importing it fails
    assert to_file([{"text": "a"}], "train") == ("train.jsonl", b'{"text": "a"}\n')
