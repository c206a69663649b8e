"""Files as spreadsheets and other programs write them."""

import json
from pathlib import Path

import pytest

from autopeft.tasks import load_files
from autopeft.tasks.dialect import find_delimiter
from autopeft.tasks.nested import with_nested
from autopeft.tasks.reading import read_table
from tests.tasks.helpers import write

ROWS = [["text", "label"], ["Größe; klein, aber fein", "ja"], ["naïve", "nein"]]


def joined(separator: str, rows: list[list[str]] = ROWS) -> str:
    quoted = [[f'"{cell}"' if set(cell) & set(",;\t|") else cell for cell in row] for row in rows]
    return "".join(separator.join(row) + "\r\n" for row in quoted)


@pytest.mark.parametrize("separator", [";", "\t", "|", ","])
@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_separators_are_recognised(tmp_path: Path, separator: str, suffix: str) -> None:
    (tmp_path / f"t{suffix}").write_text(joined(separator) if (separator, suffix) != ("\t", ".tsv") else "text\tlabel\nb\tja\n")
    table = read_table(tmp_path / f"t{suffix}")
    assert list(table.columns) == ["text", "label"]
    usual = {".csv": ",", ".tsv": "\t"}[suffix]
    assert bool(table.notes) == (separator != usual)
    if separator != usual:
        assert table.columns["text"] == [row[0] for row in ROWS[1:]]


def test_what_the_suffix_promises_goes_before_what_fits_as_well() -> None:
    assert find_delimiter("a,b;c\n1,2;3\n", ",")[0] == ","
    assert find_delimiter("a,b;c\n1,2;3\n", "\t")[0] == ","
    assert find_delimiter("text\nsome; text\n", ",")[0] == ","  # one column


def test_a_first_line_may_say_the_separator_and_lines_are_counted_on(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("sep=;\ntext;label\na;x\nb;\n")
    table = read_table(tmp_path / "t.csv")
    assert table.columns == {"text": ["a", "b"], "label": ["x", ""]}
    assert table.where(1).endswith("line 4")


@pytest.mark.parametrize(
    ("encoding", "note"),
    [("utf-8", None), ("utf-8-sig", None), ("utf-16", "UTF-16"), ("cp1252", "Windows-1252"), ("latin-1", "Windows-1252")],
)
@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_encodings_are_recognised_and_said(tmp_path: Path, encoding: str, note: str | None, suffix: str) -> None:
    lines = [json.dumps(dict(zip(ROWS[0], row, strict=True)), ensure_ascii=False) + "\n" for row in ROWS[1:]]
    (tmp_path / f"t{suffix}").write_bytes((joined(",") if suffix == ".csv" else "".join(lines)).encode(encoding))
    table = read_table(tmp_path / f"t{suffix}")
    assert table.columns["text"] == [row[0] for row in ROWS[1:]]
    assert len(table.notes) == (note is not None)
    assert all(str(note) in one for one in table.notes)


def test_a_search_says_how_its_files_were_read(tmp_path: Path) -> None:
    rows = [["text", "label"], *([f"größer {n}", f"class {n % 2}"] for n in range(20))]
    (tmp_path / "t.csv").write_bytes(joined(";", rows).encode("cp1252"))
    notes = " ".join(load_files(tmp_path / "t.csv", text="text", label="label").notes)
    assert "separated by semicolons" in notes
    assert "Windows-1252" in notes


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".parquet"])
def test_keys_inside_objects_are_columns(tmp_path: Path, suffix: str) -> None:
    columns = {
        "input": [{"text": f"text {n}", "meta": {"id": n}} for n in range(20)],
        "output.label": [f"class {n % 2}" for n in range(20)],
    }
    file = write(tmp_path / f"t{suffix}", columns)
    data = load_files(file, text="input.text", label="output.label")
    assert data.task.input_columns == ("input.text",)
    assert data.train.inputs[0][0].startswith("text ")
    assert read_table(file).columns["input.meta.id"] == list(range(20))


def test_a_spelled_key_goes_before_a_nested_one_and_gaps_are_none() -> None:
    found = with_nested({"a": [{"b": 1}, None, {"c": 2}], "a.b": [7, 8, 9]})
    assert found == {"a": [{"b": 1}, None, {"c": 2}], "a.b": [7, 8, 9], "a.c": [None, None, 2]}
