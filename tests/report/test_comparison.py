"""Runs beside each other, against answers worked out by hand."""

from pathlib import Path

import numpy as np
import pytest

import autopeft
from autopeft.errors import InvalidInputError
from autopeft.report import comparison
from autopeft.report.comparison import compare_runs
from autopeft.study.directory import RunDirectory
from tests.report.runs import make_run


def test_shares_of_the_front_of_all() -> None:
    """Two fronts in a square of 1.1 x 1.1: (0, 1) with (1, 0), and the point (0.5, 0.5) with one that the others dominate."""
    one, other = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([[0.5, 0.5], [0.6, 1.0]])
    whole = 1.1 * 0.1 + 0.1 * 1.1 - 0.1 * 0.1 + 0.5 * 0.5  # the two arms without their overlap, and the block between them
    volumes, n_joint = comparison._shares([one, other])
    assert n_joint == [2, 1]
    assert volumes == pytest.approx([(1.1 * 0.1 * 2 - 0.1**2) / whole, 0.6**2 / whole])


def test_a_run_beside_a_shorter_one(tmp_path: Path) -> None:
    long, short = make_run(tmp_path / "long", 8, 0), make_run(tmp_path / "short", 3, 0)
    result = autopeft.SearchResult(long.path)
    table = result.compare(str(short.path))
    assert list(table["run"]) == [str(long.path), str(short.path)]
    assert list(table["trials"]) == [8, 3]
    assert table["accuracy"][0] == result.best().values["accuracy"]
    assert table["best_trial"][0] == result.best().number
    assert table["on_front"][0] == len(result.front)
    assert table["hypervolume"][0] == pytest.approx(1)  # its first trials are those of the other
    assert 0 < table["hypervolume"][1] < 1


def test_what_was_measured_otherwise_is_not_compared(tmp_path: Path) -> None:
    one, other = make_run(tmp_path / "one", 2, 0), make_run(tmp_path / "other", 2, 0)
    settings = other.settings()
    for change in ({"examples": {"train": 1, "validation": 7}}, {"task": {"name": "other"}}):
        other.write_settings(settings | change)
        with pytest.raises(InvalidInputError, match=r"must have measured the same.*on 200 validation examples of reviews"):
            compare_runs([one, other])


def test_a_run_without_a_result_is_not_compared(tmp_path: Path) -> None:
    run: RunDirectory = make_run(tmp_path / "empty", 0, 0)
    with pytest.raises(InvalidInputError, match="must have a complete trial"):
        compare_runs([run])
