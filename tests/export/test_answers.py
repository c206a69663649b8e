"""Answers beside the rows that they are of."""

import csv
import json
from pathlib import Path

import pytest

from autopeft.export.answers import write_answers
from autopeft.tasks.table import Table


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_a_column_that_is_called_as_the_answer_is_keeps_its_cells(suffix: str, tmp_path: Path) -> None:
    table = Table("t", {"text": ["a"], "prediction": ["old"], "probability_x": ["0.1"]}, [1])
    write_answers(tmp_path / f"t{suffix}", table, [{"prediction": "x", "probabilities": {"x": 0.75, "y": 0.25}}])
    content = (tmp_path / f"t{suffix}").read_text()
    [row] = map(json.loads, content.splitlines()) if suffix == ".jsonl" else csv.DictReader(content.splitlines())
    assert (row["input_prediction"], row["prediction"], row["input_probability_x"]) == ("old", "x", "0.1")
