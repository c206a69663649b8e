import csv
import pickle
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autopeft.errors import InvalidInputError
from autopeft.tasks import load_files, reading
from tests.tasks.helpers import examples, write

ROWS = {"a": ['x, "y"', "ü\u2028b", "three", "four"], "b": ["1", "2", "3", "4"], "label": ["no", "yes", "no", "yes"]}
FORMATS = [".csv", ".tsv", ".jsonl", ".json", ".parquet"]


def many(n: int = 40, **columns: Any) -> dict[str, Any]:
    return {"text": [f"text {index}" for index in range(n)], "label": [f"class {index % 2}" for index in range(n)], **columns}


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_gives_the_same(tmp_path: Path, suffix: str) -> None:
    rows = {**ROWS, "a": ["plain", *ROWS["a"][1:]]} if suffix == ".tsv" else ROWS
    file = write(tmp_path / f"train{suffix}", rows)
    data = load_files(file, file, file, text=("a", "b"), label="label", with_test=True)
    assert data.task.labels == ("no", "yes")
    expected = list(zip(rows["a"], rows["b"], [0, 1, 0, 1], strict=True))
    assert data.test is not None
    assert examples(data.train) == examples(data.validation) == examples(data.test) == expected
    assert data.train.targets.dtype == np.int64


def test_tab_separated_files_have_no_quoting(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text('text\tlabel\n"Quoted," he said\ta\n"\tb\n')
    data = load_files(tmp_path / "t.tsv", tmp_path / "t.tsv", tmp_path / "t.tsv", text="text", label="label")
    assert data.train.inputs == (['"Quoted," he said', '"'],)


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_a_cell_may_be_long(tmp_path: Path, suffix: str) -> None:
    limit = csv.field_size_limit()
    file = write(tmp_path / f"train{suffix}", {"text": ["x" * 200_000, "short"], "label": ["a", "b"]})
    data = load_files(file, file, file, text="text", label="label")
    assert [len(text) for text in data.train.inputs[0]] == [200_000, 5]
    assert csv.field_size_limit() == limit


def test_a_json_file_may_hold_one_object_a_line(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text('\ufeff{"text": "a", "label": true}\n\n{"text": "b", "label": false}\n', encoding="utf-8")
    data = load_files(tmp_path / "t.json", tmp_path / "t.json", tmp_path / "t.json", text="text", label="label")
    assert data.task.labels == ("false", "true")
    assert examples(data.train) == [("a", 1), ("b", 0)]


@pytest.mark.parametrize(
    ("labels", "kind", "names"),
    [
        (["b", "a", "c", "a"], "classification", ("a", "b", "c")),
        ([True, False, True, False], "classification", ("false", "true")),
        ([10, 9, 10, 2], "classification", ("2", "9", "10")),
        ([1.0, 0.0, 1.0, 0.0], "classification", ("0", "1")),
        ([-1, 1, -1, 1], "classification", ("-1", "1")),
        (["007", "7", "007", "8"], "classification", ("007", "7", "8")),
        ([0.5, 1.0, 2.0, 3.5], "regression", ()),
        (list(range(200)), "regression", ()),
        ([1e148, 1e149, 1e148, 1e150], "regression", ()),
        ([2**53 + 1, 2**53, -(10**400), 2**53 + 1] * 2, "classification", (f"-1{'0' * 400}", str(2**53), str(2**53 + 1))),
        (["9" * 5000, f"{'9' * 4999}8", "9" * 5000], "classification", (f"{'9' * 4999}8", "9" * 5000)),
        (["1_0", "2_5", "1_0", "1_1"], "classification", ("1_0", "1_1", "2_5")),
    ],
    ids=[
        "names",
        "booleans",
        "integers",
        "whole floats",
        "negative",
        "leading zeros",
        "fractions",
        "many integers",
        "floats too large for fractions",
        "integers too large for floats",
        "integers too long for Python",
        "topics of topics",
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_the_kind_is_inferred(tmp_path: Path, suffix: str, labels: list[Any], kind: str, names: tuple[str, ...]) -> None:
    if suffix == ".csv" and isinstance(labels[0], bool):
        labels, names = [str(label) for label in labels], ("False", "True")
    file = write(tmp_path / f"t{suffix}", {"text": ["t"] * len(labels), "label": labels})
    task = load_files(file, file, file, text="text", label="label").task
    assert (task.kind, task.labels) == (kind, names)


def test_the_kind_can_be_set(tmp_path: Path) -> None:
    file = write(tmp_path / "stars.csv", {"text": ["a", "b", "c"], "label": [1, 2, 5]})
    data = load_files(file, file, file, text="text", label="label", kind="regression")
    assert data.task.kind == "regression"
    assert data.train.targets.tolist() == [1.0, 2.0, 5.0]
    assert (data.task.metric, data.task.metrics) == ("spearman", ("spearman", "pearson", "loss"))
    assert data.task.name == "stars"
    assert load_files(file, file, file, text="text", label="label", name="own").task.name == "own"


@pytest.mark.parametrize(
    ("n_classes", "metrics"), [(2, ("accuracy", "macro_f1", "average_precision", "loss")), (3, ("accuracy", "macro_f1", "loss"))]
)
def test_metrics_of_own_classes(tmp_path: Path, n_classes: int, metrics: tuple[str, ...]) -> None:
    file = write(tmp_path / "t.csv", {"text": ["t"] * 6, "label": [f"c{index % n_classes}" for index in range(6)]})
    assert load_files(file, file, file, text="text", label="label").task.metrics == metrics


def test_one_class_has_one_spelling_in_every_file(tmp_path: Path) -> None:
    train = write(tmp_path / "train.csv", {"text": ["a", "b"], "label": ["1", "0"]})
    validation = write(tmp_path / "validation.jsonl", {"text": ["c", "d"], "label": [1.0, 0]})
    data = load_files(train, validation, train, text="text", label="label")
    assert examples(data.validation) == [("c", 1), ("d", 0)]


def test_missing_splits_are_cut_from_the_training_data(tmp_path: Path) -> None:
    rows = many()
    file = write(tmp_path / "t.csv", rows)
    data, with_test = (load_files(file, text="text", label="label", with_test=flag) for flag in (False, True))
    assert data.test is None
    assert with_test.test is not None
    assert (len(data.train), len(data.validation), len(with_test.test)) == (32, 4, 4)
    assert examples(data.train) == examples(with_test.train)
    assert examples(data.validation) == examples(with_test.validation)
    together = examples(with_test.train) + examples(with_test.validation) + examples(with_test.test)
    assert sorted(together) == sorted(zip(rows["text"], [0, 1] * 20, strict=True))
    assert any(note.startswith("validation: no validation file was given, so 4 examples cut from the training data") for note in data.notes)
    assert any(note.startswith("test: no test file was given, so 4 examples cut") for note in data.notes)
    assert data.notes == with_test.notes


def test_the_cut_for_the_test_does_not_depend_on_a_validation_file(tmp_path: Path) -> None:
    file = write(tmp_path / "t.csv", many())
    without = load_files(file, text="text", label="label", with_test=True)
    given = load_files(file, file, text="text", label="label", with_test=True)
    assert without.test is not None
    assert given.test is not None
    assert examples(without.test) == examples(given.test)


def test_test_rows_never_reach_training_or_validation(tmp_path: Path) -> None:
    train = write(tmp_path / "train.csv", many())
    test = write(tmp_path / "test.csv", many())
    before = load_files(train, test=test, text="text", label="label")
    poisoned = {"text": ["POISON"] * 40, "label": ["class 1"] * 40}
    write(test, poisoned)
    after = load_files(train, test=test, text="text", label="label")
    assert pickle.dumps(before) == pickle.dumps(after)
    assert b"POISON" not in pickle.dumps(after)
    with_test = load_files(train, test=test, text="text", label="label", with_test=True)
    assert with_test.test is not None
    assert set(with_test.test.inputs[0]) == {"POISON"}


def test_a_changed_file_is_read_afresh(tmp_path: Path) -> None:
    file = write(tmp_path / "t.csv", many())
    load_files(file, text="text", label="label")
    write(file, many(label=[f"other {index % 4}" for index in range(40)]))
    assert len(load_files(file, text="text", label="label").task.labels) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


GOOD = "text,label\na,yes\nb,no\nc,yes\nd,no\n"
BAD_FILES: Mapping[str, tuple[str, bytes, str]] = {
    "empty": ("t.csv", b"", r"t\.csv is empty"),
    "header only": ("t.csv", b"text,label\n", r"t\.csv has no rows"),
    "header twice": ("t.csv", b"text,text\na,b\n", r"line 1: the header must name every column once"),
    "empty list": ("t.json", b"[]", r"t\.json has no rows"),
    "row too long": ("t.csv", b"text,label\na,yes\nb,c,no\n", r"line 3: a row must have 2 cells.*got 3"),
    "row too short": ("t.tsv", b"text\tlabel\na\tyes\nb\n", r"line 3: a row must have 2 cells.*got 1"),
    "open quote": ("t.csv", b'text,label\na,yes\n"b,no\n', r"line 3: not a valid row"),
    "quote inside": ("t.csv", b'text,label\n"a" b,yes\n', r"line 2: not a valid row"),
    "damaged utf-8": ("t.csv", "text,label\nä,yes\n".encode() + b"\xff,no\n", r"line 3: the text must be UTF-8"),
    "no encoding": ("t.csv", b"text,label\na,yes\n\x81,no\n", r"line 3: the text must be UTF-8"),
    "half of UTF-16": ("t.csv", b"\xff\xfet\x00e", r"not the UTF-16 that its first bytes promise"),
    "bad json line": ("t.jsonl", b'{"text": "a", "label": 1}\n{"text": \n', r"line 2, character \d+: not valid JSON"),
    "json list of texts": ("t.jsonl", b'{"text": "a", "label": 1}\n"text"\n', r"line 2: must be an object"),
    "bad json": ("t.json", b'[{"text": "a"},\n {"text" "b"}]', r"line 2, character \d+: not valid JSON"),
    "deep json": ("t.json", b"[" * 200_000, r"t\.json: not valid JSON"),
    "not parquet": ("t.parquet", b"text,label\na,yes\n", r"is not valid Parquet"),
    "unknown type": ("t.xlsx", b"PK", r"must end in one of \.parquet, \.csv"),
    "no text": ("t.jsonl", b'{"text": "a", "label": 1}\n{"label": 0}\n', r"line 2: the text column 'text' must hold text .got None"),
    "number as text": ("t.json", b'[{"text": "a", "label": 1}, {"text": 7, "label": 0}]', r"row 2: the text column.*got 7"),
    "no label": ("t.csv", b"text,label\na,yes\nb,\nc,no\n", r"line 3: the label in column 'label' is missing"),
    "null label": ("t.jsonl", b'{"text": "a", "label": 1}\n{"text": "b", "label": null}\n', r"line 2: the label .* is missing"),
    "label not a number": ("t.csv", b"text,label\na,0.5\nb,1.5\nc,n/a\n", r"line 4: the label .* must be a finite number.*got 'n/a'"),
    "label in text among classes": ("t.csv", b"text,label\na,0\nb,1\nc,one\n", r"line 4: the label .* must be a finite number.*got 'one'"),
    "label is a list": ("t.jsonl", b'{"text": "a", "label": [1]}\n{"text": "b", "label": 2}\n', r"line 1: the label .* name or a number"),
    "infinite label": ("t.csv", b"text,label\na,0.5\nb,1.5\nc,inf\n", r"line 4: .*finite number.*got 'inf'"),
    "one class": ("t.csv", b"text,label\na,yes\nb,yes\nc,yes\n", r"must hold two or more classes .got \['yes'\]"),
    "one row": ("t.csv", b"text,label\na,0.5\n", r"must have at least 4 rows .got 1"),
    "one score": ("t.csv", b"text,label\n" + b"a,0.5\n" * 9, r"the training labels must differ .got 0\.5"),
    "lists as text": (
        "t.csv",
        b"text,label\n" + b't,"[\'x\', \'y\']"\nt,"[""x""]"\nt,[]\n' * 9,
        r"holds lists written as text.*Write a and b as a;b",
    ),
    "half a character": (
        "t.jsonl",
        b'{"text": "a", "label": 1}\n{"text": "\\uD83D", "label": 0}\n',
        r"line 2: text must be Unicode .got '.ud83d'",
    ),
    "an id per row": (
        "t.csv",
        b"text,label\n" + b"".join(b"a,%d\n" % (10**18 + n) for n in range(120)),
        r"holds 120 whole numbers, some of 2\^53 and more, which looks like ids .got '1000000000000000000'.*or give --kind regression if",
    ),
    "a number per row": (
        "t.csv",
        b"text,label\n" + b"".join(b"a,%d\n" % n for n in range(60)),
        r"nearly as many labels as rows, which looks like ids .got 60.*or give --kind regression if labels are amounts",
    ),
    "a name per row": (
        "t.csv",
        b"text,label\n" + b"".join(b"a,n%d\n" % n for n in range(1500)),
        r"nearly as many labels as rows, which looks like ids .got 1500",
    ),
}


@pytest.mark.parametrize(("name", "content", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_file_is_refused_by_place(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInputError, match=message):
        load_files(tmp_path / name, text="text", label="label")


def test_the_line_counts_line_breaks_in_cells(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('text,label\n"two\nlines",yes\n\nb,\n')
    with pytest.raises(InvalidInputError, match="line 5: the label"):
        load_files(tmp_path / "t.csv", text="text", label="label")


def test_a_table_of_decimal_numbers_and_one_with_a_name_twice(tmp_path: Path) -> None:
    texts, scores = pa.array(["a"] * 40), pa.array([Decimal(n) / 4 for n in range(40)])
    pq.write_table(pa.table([texts, scores], names=["text", "label"]), tmp_path / "t.parquet")
    data = load_files(tmp_path / "t.parquet", tmp_path / "t.parquet", tmp_path / "t.parquet")
    assert (data.task.kind, data.train.targets.tolist()) == ("regression", [n / 4 for n in range(40)])
    pq.write_table(pa.table([texts, texts, scores], names=["text", "text", "label"]), tmp_path / "t.parquet")
    with pytest.raises(InvalidInputError, match=r"t\.parquet must name every column once"):
        load_files(tmp_path / "t.parquet")


def test_a_missing_file_or_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"does not exist .got .*nope\.csv"):
        load_files(tmp_path / "nope.csv", text="text", label="label")
    with pytest.raises(InvalidInputError, match="is a folder"):
        load_files(tmp_path, text="text", label="label")


@pytest.mark.parametrize(
    ("text", "label", "near"), [("txt", "label", "text"), ("text", "lable", "label"), (("text", "tex"), "label", "text")]
)
def test_a_missing_column_gets_the_nearest_one(tmp_path: Path, text: Any, label: str, near: str) -> None:
    (tmp_path / "t.csv").write_text(GOOD)
    with pytest.raises(InvalidInputError, match=rf"has no column .*Did you mean '{near}'\? It has: text, label"):
        load_files(tmp_path / "t.csv", text=text, label=label)
    with pytest.raises(InvalidInputError, match=r"Several columns are a list: text=\['text', 'label'\]\. It has: text, label"):
        load_files(tmp_path / "t.csv", text="text, label", label="label")


def test_a_fraction_is_no_class(tmp_path: Path) -> None:
    file = write(tmp_path / "t.csv", {"text": ["a", "b", "c"], "label": [1, 2.5, 3]})
    with pytest.raises(InvalidInputError, match=r"line 3: .* class name or a whole number .got '2\.5'.*kind='regression'"):
        load_files(file, text="text", label="label", kind="classification")


@pytest.mark.parametrize("odd", ["nan", "NaN", "inf", "-Infinity"])
def test_what_spells_no_finite_number_is_no_class_among_numbers(tmp_path: Path, odd: str) -> None:
    file = write(tmp_path / "t.csv", {"text": ["a", "b", "c", "d"], "label": ["1", odd, "2", odd]})
    with pytest.raises(InvalidInputError, match=rf"line 3: .* class name or a whole number .got '{odd}'"):
        load_files(file, text="text", label="label")
    named = write(tmp_path / "n.csv", {"text": ["a"] * 12, "label": ["bread", odd, "rice"] * 4})
    assert odd in load_files(named, text="text", label="label").task.labels


@pytest.mark.parametrize("large", [1e151, -1e308])
def test_a_number_whose_square_is_infinite_is_refused_by_its_place(tmp_path: Path, large: float) -> None:
    file = write(tmp_path / "t.csv", {"text": ["a"] * 12, "label": [0.5, large, *range(10)]})
    with pytest.raises(InvalidInputError, match=r"t\.csv, line 3: a number to be predicted must be at most 1e\+150 .*larger unit"):
        load_files(file, text="text", label="label", kind="regression")


def test_a_name_is_no_score(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(GOOD)
    with pytest.raises(InvalidInputError, match=r"line 2: .* must be a finite number.*got 'yes'"):
        load_files(tmp_path / "t.csv", text="text", label="label", kind="regression")


@pytest.mark.parametrize("role", ["validation", "test"])
def test_a_class_that_training_lacks_is_refused(tmp_path: Path, role: str) -> None:
    train = write(tmp_path / "train.csv", many())
    other = write(tmp_path / "other.csv", {"text": ["a", "b"], "label": ["class 0", "class 9"]})
    with pytest.raises(InvalidInputError, match=r"other\.csv, line 3: .* must be one of 'class 0', 'class 1' .got 'class 9'"):
        load_files(train, text="text", label="label", **{role: other})


def test_a_file_above_the_bound_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "t.csv", many())
    packed = write(tmp_path / "t.parquet", {"text": ["a" * 1000] * 2000, "label": [0, 1] * 1000})
    monkeypatch.setattr(reading, "MAX_BYTES", 300)
    with pytest.raises(InvalidInputError, match=r"t\.csv must hold at most 300 bytes"):
        load_files(file, text="text", label="label")
    monkeypatch.setattr(reading, "MAX_BYTES", packed.stat().st_size)
    with pytest.raises(InvalidInputError, match=r"t\.parquet must hold at most"):
        load_files(packed, text="text", label="label")


@pytest.mark.shared
def test_trec_from_own_files(shared_data: Path) -> None:
    folder = shared_data / "trec"
    data = load_files(folder / "train.parquet", test=folder / "test.parquet", text="text", label="coarse_label", with_test=True)
    assert data.test is not None
    assert (len(data.train), len(data.validation), len(data.test)) == (5452 - 545, 545, 500)
    assert data.task.labels == tuple("012345")
    assert set(data.test.targets) == set(range(6))
