"""How long a suggestion takes."""

import json
from pathlib import Path

from tests.benchmarks.conftest import Benchmark


def test_suggestions_are_timed_by_layers_and_trials(run_benchmark: Benchmark, tmp_path: Path) -> None:
    given = ["--layers", "2,4", "--trials", "16", "--suggestions", "8", "--json", tmp_path / "rows.json"]
    answer = run_benchmark("suggestion", *given)
    assert answer.code == 0, answer.err
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [(row["layers"], row["trials"]) for row in rows] == [(2, 16), (4, 16)]
    assert all(0 < row["seconds"] <= row["longest"] for row in rows)
    assert rows[0]["points"] != rows[1]["points"]
