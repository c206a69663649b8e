from dataclasses import replace

import pytest

from autopeft.report.learning_curves import LearningCurves, Rung
from autopeft.study.directory import RunDirectory, json_lines
from autopeft.study.record import RungResult


@pytest.fixture
def run(tmp_path) -> RunDirectory:
    return RunDirectory.create(tmp_path / "run")


def write_curve(run: RunDirectory, number: int, *accuracies: float) -> None:
    rows = [
        {"epoch": 1.0, "progress": (index + 1) / 2, "examples_seen": 10, "train_loss": 0.5, "metrics": {"accuracy": accuracy}}
        for index, accuracy in enumerate(accuracies)
    ]
    run.write_trial(number, {"curve.jsonl": json_lines(rows)})


def test_rungs_count_who_went_on_and_what_that_saved(run, trial, failed) -> None:
    def reached(number: int, state: str, *shares: float):
        return replace(trial(number, 0.5, 100), state=state, rungs=tuple(RungResult(share, {}, {}) for share in shares))

    records = [
        reached(0, "complete", 0.25, 0.5),
        reached(1, "stopped", 0.25),
        reached(2, "stopped", 0.25, 0.5),
        reached(3, "paused", 0.25),
        reached(4, "running", 0.25),
        failed,
    ]
    found = LearningCurves.of(run, records, [])
    assert found.rungs == (Rung(0.25, 5, 3, 1, 1), Rung(0.5, 2, 1, 1, 0))
    assert found.budgets_saved == pytest.approx(0.75 + 0.5)


def test_curves_are_read_as_far_as_they_are_there(run, trial) -> None:
    write_curve(run, 0, 0.5, float("nan"))
    write_curve(run, 2, 0.6)
    run.write_trial(3, {"curve.jsonl": b'{"progress": 0.5, "exam'})
    run.write_trial(4, {"curve.jsonl": b'[1, 2]\n"text"'})
    records = [trial(number, 0.5, 100) for number in range(5)]
    found = LearningCurves.of(run, records, records[2:3])
    assert [(curve.trial, curve.on_front, [step.metrics["accuracy"] for step in curve.steps]) for curve in found.curves] == [
        (0, False, [0.5, None]),
        (2, True, [0.6]),
    ]
    assert found.unreadable == (3, 4)
