"""How long a suggestion takes."""

import json
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_suggestions_are_timed_by_layers_and_trials(tmp_path: Path) -> None:
    command = [sys.executable, BENCHMARKS / "suggestion.py", "--layers", "2,4", "--trials", "24", "--suggestions", "8"]
    subprocess.run([*command, "--json", tmp_path / "rows.json"], capture_output=True, text=True, timeout=300, check=True)
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [(row["layers"], row["trials"]) for row in rows] == [(2, 24), (4, 24)]
    assert all(0 < row["seconds"] <= row["longest"] for row in rows)
    assert rows[0]["points"] != rows[1]["points"]
