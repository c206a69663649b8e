"""Rows of a table from the trials of a search."""

import json
from pathlib import Path

from autopeft.study.directory import RunDirectory
from tests.benchmarks.conftest import Benchmark


def test_every_complete_trial_makes_a_row(run_benchmark: Benchmark, small_run: RunDirectory, tmp_path: Path) -> None:
    table = tmp_path / "searches.jsonl"
    assert run_benchmark("gather", small_run.path, "--out", table).code == 0
    rows = [json.loads(line) for line in table.read_text().splitlines()]
    trials = [json.loads(line) for line in (small_run.path / "trials.jsonl").read_text().splitlines()]
    complete = [trial for trial in trials if trial["state"] == "complete"]
    assert [row["seed"] for row in rows] == [trial["seed"] for trial in complete]
    for row, trial in zip(rows, complete, strict=True):
        assert row["configuration"] == trial["configuration"]
        assert row["curve"][-1]["progress"] == 1
        assert abs(row["curve"][-1]["loss"] - trial["loss"]) < 1e-5


def test_a_repeat_with_the_same_seed_makes_no_row(run_benchmark: Benchmark, small_run: RunDirectory, tmp_path: Path) -> None:
    once, twice = tmp_path / "once.jsonl", tmp_path / "twice.jsonl"
    run_benchmark("gather", small_run.path, "--out", once)
    run_benchmark("gather", small_run.path, small_run.path, "--out", twice)
    assert twice.read_text() == once.read_text() != ""


def test_runs_that_differ_make_no_table(run_benchmark: Benchmark, small_run: RunDirectory, tmp_path: Path) -> None:
    other = tmp_path / "other"
    settings = small_run.settings()
    settings["settings"]["epochs"]["value"] = 7
    other.mkdir()
    (other / "run.json").write_text(json.dumps(settings))
    answer = run_benchmark("gather", small_run.path, other, "--out", tmp_path / "searches.jsonl")
    assert answer.code == 2
    assert "differs" in answer.err
    assert not (tmp_path / "searches.jsonl").exists()
