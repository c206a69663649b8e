"""Verbs as processes of their own; all else about them is tested in this interpreter.

The others are elsewhere: search and retrain in test_search.py and test_retrain.py, which stop them; show, plot and report in test_show.py,
list and baselines in test_architecture.py, which look at what they import.
"""

from pathlib import Path

from autopeft.study.directory import RunDirectory
from tests.cli.conftest import Autopeft

IMPORTS_SECONDS = 2.5
"""Processor time of the interpreter and the libraries of the command line; torch alone takes as much again."""


def test_help_answers_at_once(autopeft_process: Autopeft) -> None:
    autopeft_process("--help")  # the first call may have to write byte code
    answer = autopeft_process("--help")
    assert answer.code == 0
    assert "baselines" in answer.out
    assert answer.cpu_seconds < IMPORTS_SECONDS


def test_export(autopeft_process: Autopeft, small_run: RunDirectory) -> None:
    answer = autopeft_process("export", small_run.path, "--trial", 0, "--to", "script")
    assert answer.code == 0, answer.err
    assert answer.out.split() == [str(small_run.path / "exports" / "0000-script")]


def test_doctor(autopeft_process: Autopeft) -> None:
    answer = autopeft_process("doctor")
    assert answer.code == 0, answer.err
    assert "transformers" in answer.out
    assert "search starts" in answer.out


def test_an_error_is_a_line_and_a_code(autopeft_process: Autopeft, tmp_path: Path) -> None:
    answer = autopeft_process("show", tmp_path)
    assert answer.code == 2
    assert answer.err.startswith("error: ")
    assert answer.err.count("\n") == 1
