import csv
import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from autopeft.study.directory import RunDirectory
from tests.cli.conftest import Answer

Autopeft = Callable[..., Answer]


def test_retrain_prints_a_table_and_does_nothing_twice(autopeft: Autopeft, small_run: RunDirectory) -> None:
    run = small_run.path
    flags = ["retrain", run, "--trial", 1, "--seeds", 2, "--epochs", 2]
    answer = autopeft(*flags)
    assert answer.code == 0, answer.err
    assert "trial 1, seed 1: test accuracy" in answer.err
    assert "40 test examples" in answer.out
    assert "Retrained at the full budget (1)" in answer.out
    data = json.loads(autopeft(*flags, "--format", "json").out)
    assert data == json.loads((run / "retrained" / "retrained.json").read_text())
    assert data["budget"]["epochs"] == 2
    again = autopeft("retrain", run, "--trial", 1, "--seeds", 2, "--format", "csv")
    assert "seed" not in again.err
    (row,) = csv.DictReader(io.StringIO(again.out))
    assert float(row["test_accuracy_mean"]) == data["configurations"][0]["test"]["accuracy"]["mean"]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "termination"])
def test_being_stopped_keeps_what_is_done(autopeft: Autopeft, small_run: RunDirectory, sent: signal.Signals) -> None:
    run = small_run.path
    arguments = ["retrain", str(run), "--pick", "best", "--seeds", "300", "--epochs", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "autopeft", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        # A test run in the background has Ctrl-C switched off, and its children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 120
    while len(done := list(run.glob("retrained/*/seed-*/result.json"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(sent)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "The same command goes on" in err
    assert "Traceback" not in err
    stamps = {path: path.stat().st_mtime_ns for path in done}
    n_done = len(list(run.glob("retrained/*/seed-*/result.json")))
    answer = autopeft(*arguments[:4], "--seeds", n_done + 1)
    assert f"({n_done + 1} trainings, {n_done} done)" in answer.err
    assert {path: path.stat().st_mtime_ns for path in done} == stamps


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "say which trials to train"),
        (["--front", "--pick", "best"], "say which trials to train"),
        (["--trial", "99"], "trial 99 does not exist"),
        (["--pick", "first"], "unknown choice of a trial"),
        (["--front", "--task", "mrcp"], "Did you mean 'mrpc'"),
    ],
    ids=["nothing", "two choices", "no such trial", "no such wish", "no such task"],
)
def test_wrong_flags_are_usage_errors(autopeft: Autopeft, small_run: RunDirectory, arguments: list[str], message: str) -> None:
    answer = autopeft("retrain", small_run.path, *arguments)
    assert answer.code == 2, answer.err
    assert message in answer.err
    assert "Traceback" not in answer.err
