import csv
import io
import json
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from autopeft.study.directory import RunDirectory
from tests.cli.conftest import Autopeft
from tests.programs import interruptible, signalled, wait_until


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


def trained(run: RunDirectory) -> list[Path]:
    return list(run.path.glob("retrained/*/seed-*/result.json"))


def stopped_and_gone_on(autopeft: Autopeft, run: RunDirectory, arguments: list[str], stop: Callable[[], tuple[int, str]]) -> None:
    """Check that what a stopped retraining had done is kept, and that the same command goes on."""
    code, err = stop()
    assert code == 130, err
    assert "The same command goes on" in err
    assert "Traceback" not in err
    stamps = {path: path.stat().st_mtime_ns for path in trained(run)}
    assert len(stamps) >= 2
    answer = autopeft(*arguments[:4], "--seeds", len(stamps) + 1)
    assert f"({len(stamps) + 1} trainings, {len(stamps)} done)" in answer.err
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "termination"])
def test_being_stopped_keeps_what_is_done(autopeft: Autopeft, small_run: RunDirectory, sent: signal.Signals) -> None:
    arguments = ["retrain", str(small_run.path), "--pick", "best", "--seeds", "300", "--epochs", "1"]

    def stop() -> tuple[int, str]:
        with signalled(sent, lambda: len(trained(small_run)) >= 2):
            answer = autopeft(*arguments)
        return answer.code, answer.err

    stopped_and_gone_on(autopeft, small_run, arguments, stop)


def test_a_process_that_is_terminated_keeps_what_is_done(autopeft: Autopeft, small_run: RunDirectory) -> None:
    arguments = ["retrain", str(small_run.path), "--pick", "best", "--seeds", "300", "--epochs", "1"]

    def stop() -> tuple[int, str]:
        with interruptible("-m", "autopeft", *arguments) as process:
            wait_until(lambda: len(trained(small_run)) >= 2)
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=60)
            return process.returncode, err

    stopped_and_gone_on(autopeft, small_run, arguments, stop)


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


def test_baselines_stand_in_the_same_table(autopeft: Autopeft, small_run: RunDirectory) -> None:
    answer = autopeft("baselines", small_run.path, "--methods", "head_only", "--seeds", 1, "--epochs", 1)
    assert answer.code == 0, answer.err
    assert "head only" in answer.out
    assert re.search(r"Cost: search [\d,]+ training examples, .* of processor time; baselines [\d,]+ training examples", answer.out)
    assert (small_run.baselines_path / "head_only" / "run.json").is_file()
    costs = json.loads((small_run.retrained_path / "retrained.json").read_text())["costs"]
    n_train = small_run.settings()["examples"]["train"]
    assert {name: one["examples_seen"] for name, one in costs.items()} == {"search": 3 * n_train, "baselines": n_train}
