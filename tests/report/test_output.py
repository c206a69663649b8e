"""Where progress goes: a notebook's cell is drawn anew in one place, everything else is standard error."""

import sys
from types import ModuleType
from typing import Any

import pytest

from autopeft.report.markup import element
from autopeft.report.notebook import as_html
from autopeft.report.output import NotebookCell, Terminal, make_output
from autopeft.study.directory import RunDirectory


class Display:
    """What of IPython.display is used; keeps what a reader of the notebook would see, by cell."""

    def __init__(self) -> None:
        self.cells: list[list[str]] = []

    def HTML(self, text: str) -> str:  # noqa: N802
        return text

    def display(self, page: str, *, display_id: bool) -> Any:
        assert display_id
        self.cells.append([page])
        place = len(self.cells) - 1
        handle = ModuleType("handle")
        handle.update = lambda page: self.cells[place].append(page)  # type: ignore[attr-defined]
        return handle


def test_a_notebook_s_cell_shows_one_table_that_changes(small_run: RunDirectory) -> None:
    shown = Display()
    cell = NotebookCell(shown)
    cell.line("task <b> & co")
    cell.status("waiting")
    assert "task &lt;b&gt; &amp; co" in shown.cells[0][-1]
    assert "waiting" in shown.cells[0][-1]
    cell.show(small_run)
    assert as_html(small_run) in shown.cells[0][-1]
    cell.line("[1/3]")
    assert "<summary>[1/3]</summary>" in shown.cells[0][-1]
    cell.end()
    assert "waiting" not in shown.cells[0][-1]
    assert as_html(small_run) in shown.cells[0][-1]
    assert len(shown.cells) == 1


def test_whoever_looks_on_does_not_slow_a_search_down(small_run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[RunDirectory] = []
    clock = [100.0]

    def slow(run: RunDirectory) -> Any:
        read.append(run)
        clock[0] += 1
        return element("div")

    monkeypatch.setattr("autopeft.report.output.as_element", slow)
    monkeypatch.setattr("autopeft.report.output.time.monotonic", lambda: clock[0])
    cell = NotebookCell(Display())
    for _ in range(44):  # seconds
        cell.show(small_run)
        clock[0] += 1
    assert len(read) == 3


@pytest.mark.parametrize(("kernel", "kind"), [(object(), NotebookCell), (None, Terminal)], ids=["kernel", "IPython in a terminal"])
def test_a_kernel_is_asked_for_its_cell(kernel: object, kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    ipython, shell = ModuleType("IPython"), ModuleType("shell")
    shell.kernel = kernel  # type: ignore[attr-defined]
    ipython.get_ipython = lambda: shell  # type: ignore[attr-defined]
    ipython.display = ModuleType("IPython.display")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    assert type(make_output()) is kind


def test_without_a_notebook_it_is_standard_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    output = make_output()
    output.status("a line that changes")
    output.line("[bold]")
    output.end()
    assert capsys.readouterr() == ("", "[bold]\n")


@pytest.mark.parametrize("columns", ["0", "1", "19"])
def test_a_width_that_no_terminal_has_loses_no_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    Terminal().line("[1/2] trial 0  accuracy 0.5  " * 5)
    assert capsys.readouterr().err == "[1/2] trial 0  accuracy 0.5  " * 5 + "\n"
