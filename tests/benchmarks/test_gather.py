"""Rows of a table from the trials of a search."""

import json
import subprocess
import sys
from pathlib import Path

from autopeft.study.directory import RunDirectory

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def gather(*arguments: Path | str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, BENCHMARKS / "gather.py", *arguments], capture_output=True, text=True, timeout=120)


def test_every_complete_trial_makes_a_row(small_run: RunDirectory, tmp_path: Path) -> None:
    table = tmp_path / "searches.jsonl"
    assert gather(small_run.path, "--out", table).returncode == 0
    rows = [json.loads(line) for line in table.read_text().splitlines()]
    trials = [json.loads(line) for line in (small_run.path / "trials.jsonl").read_text().splitlines()]
    complete = [trial for trial in trials if trial["state"] == "complete"]
    assert [row["seed"] for row in rows] == [trial["seed"] for trial in complete]
    for row, trial in zip(rows, complete, strict=True):
        assert row["configuration"] == trial["configuration"]
        assert row["curve"][-1]["progress"] == 1
        assert abs(row["curve"][-1]["loss"] - trial["loss"]) < 1e-5


def test_a_repeat_with_the_same_seed_makes_no_row(small_run: RunDirectory, tmp_path: Path) -> None:
    once, twice = tmp_path / "once.jsonl", tmp_path / "twice.jsonl"
    gather(small_run.path, "--out", once)
    gather(small_run.path, small_run.path, "--out", twice)
    assert twice.read_text() == once.read_text() != ""


def test_runs_that_differ_make_no_table(small_run: RunDirectory, tmp_path: Path) -> None:
    other = tmp_path / "other"
    settings = small_run.settings()
    settings["settings"]["epochs"]["value"] = 7
    other.mkdir()
    (other / "run.json").write_text(json.dumps(settings))
    answer = gather(small_run.path, other, "--out", tmp_path / "searches.jsonl")
    assert answer.returncode == 2
    assert "differs" in answer.stderr
    assert not (tmp_path / "searches.jsonl").exists()
