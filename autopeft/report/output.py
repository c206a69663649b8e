"""Where the lines of a progress go: a terminal or log, or the cell of a notebook, which shows the run's tables above them."""

import sys
import time
import warnings
from collections.abc import Sequence
from typing import Any, Protocol
from xml.etree.ElementTree import Element, tostring

from autopeft.errors import AutopeftError
from autopeft.report.console import make_console
from autopeft.report.markup import element
from autopeft.report.notebook import as_element
from autopeft.study.directory import RunDirectory

REST = 20.0
"""How much longer than drawing a run's tables took they stay as they are: whoever looks on must not slow the search down."""


class Output(Protocol):
    """Takes lines that stay, and a last one that changes."""

    changes: bool
    """Whether the last line can change; else it is left out."""

    def line(self, text: str) -> None:
        """Add a line as it is."""

    def status(self, text: str) -> None:
        """Change the last line."""

    def show(self, run: RunDirectory) -> None:
        """Show what a run has found so far, where there is a place for it."""

    def end(self) -> None:
        """Take the last line away."""


class Terminal:
    """Standard error. Only in a terminal the last line changes."""

    def __init__(self) -> None:
        self._console = make_console(stderr=True, soft_wrap=True)
        self._status = self._console.status("")
        self.changes = self._console.is_terminal

    def line(self, text: str) -> None:
        """Print a line as it is."""
        self._console.print(text, markup=False)

    def status(self, text: str) -> None:
        """Change the last line."""
        if self.changes:
            self._status.start()
            self._status.update(text)

    def show(self, run: RunDirectory) -> None:
        """Do nothing: the front is printed in the end."""

    def end(self) -> None:
        """Take the last line away."""
        self._status.stop()


class NotebookCell:
    """The output of a notebook's cell, drawn anew in one place: the run's tables, the last line, and all lines, folded."""

    changes = True

    def __init__(self, display: Any) -> None:
        self._display = display
        self._handle: Any = None
        self._lines: list[str] = []
        self._last = ""
        self._run: RunDirectory | None = None
        self._tables: Sequence[Element] = ()
        self._not_before = 0.0

    def line(self, text: str) -> None:
        """Add a line as it is."""
        self._lines.append(text)
        self._draw()

    def status(self, text: str) -> None:
        """Change the last line."""
        self._last = text
        self._draw()

    def show(self, run: RunDirectory) -> None:
        """Show a run's tables; some time after the last ones, or in the end."""
        self._run = run
        if time.monotonic() >= self._not_before:
            self._read(run)
            self._draw()

    def end(self) -> None:
        """Take the last line away, and show the tables as they are now."""
        self._last = ""
        if self._run is not None:
            self._read(self._run)
        if self._handle is not None:
            self._draw()

    def _read(self, run: RunDirectory) -> None:
        began = time.monotonic()
        try:
            self._tables = (as_element(run),)
        except AutopeftError:  # the run is as good as its record, which whoever drives it speaks of
            return
        ended = time.monotonic()
        self._not_before = ended + REST * (ended - began)

    def _draw(self) -> None:
        lines = element("details", element("summary", self._lines[-1] if self._lines else ""), element("pre", "\n".join(self._lines)))
        page = self._display.HTML(
            tostring(element("div", self._tables, lines, element("div", self._last)), encoding="unicode", method="html")
        )
        if self._handle is None:
            self._handle = self._display.display(page, display_id=True)
        else:
            self._handle.update(page)


def make_output() -> Output:
    """Return the cell of the notebook that this code runs in, or else standard error."""
    ipython = sys.modules.get("IPython")  # there already where a kernel runs
    shell = ipython.get_ipython() if ipython is not None else None
    if getattr(shell, "kernel", None) is None:  # IPython in a terminal has none
        return Terminal()
    from IPython import display

    # tqdm says so in red at the first search of a notebook without ipywidgets; no bar of its is drawn.
    warnings.filterwarnings("ignore", message="IProgress not found")
    return NotebookCell(display)
