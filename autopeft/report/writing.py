"""Writing a report into a folder, in any of its formats."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from autopeft import __version__
from autopeft.errors import UnknownNameError
from autopeft.report.content import Report
from autopeft.report.formatting import one_line
from autopeft.report.sections import sections


def write(report: Report, folder: Path, formats: Sequence[str]) -> list[Path]:
    """Write report.html, report.md, report.json, or those of them that are asked for; return the paths.

    Raises:
        UnknownNameError: A format is not one of `FORMATS`.
    """
    for name in formats:
        if name not in FORMATS:
            raise UnknownNameError("report format", name, FORMATS)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"report.{name}" for name in dict.fromkeys(formats)]
    for path in paths:
        # A lone half of a surrogate pair, which a file name may hold, is no character that UTF-8 could write.
        path.write_text(FORMATS[path.suffix[1:]](report), encoding="utf-8", errors="backslashreplace")
    return paths


def to_live_page(report: Report, seconds: float) -> str:
    """Return the page that report.html is, but for looking every so many seconds whether there is a new one."""
    from autopeft.report.html import to_page

    status = report.status
    done = f"({status.n_done}/{status.n_trials}) " if status.n_trials and status.state != "done" else ""
    title = done + _title(report)
    return to_page(title, report, sections(report), _made_by(), live_seconds=seconds)


def to_waiting_page(name: str, reason: str, seconds: float) -> str:
    """Return a page that says why there is none yet, and looks again every so many seconds."""
    from autopeft.report.html import to_words

    return to_words(one_line(f"autopeft: {name}"), one_line(reason), _made_by(), live_seconds=seconds)


def _made_by() -> str:
    return f"Written by autopeft {__version__}."


def _title(report: Report) -> str:
    task = report.header.task
    return one_line(f"autopeft: {report.header.name}" + (f", task {task}" if task and task != report.header.name else ""))


def _to_html(report: Report) -> str:
    from autopeft.report.html import to_page

    return to_page(_title(report), report, sections(report), _made_by())


def _to_markdown(report: Report) -> str:
    from autopeft.report.markdown import to_markdown

    return to_markdown(_title(report), sections(report))


def _to_json(report: Report) -> str:
    return json.dumps(report.to_dict(), indent=2, allow_nan=False) + "\n"


FORMATS: Mapping[str, Callable[[Report], str]] = {"html": _to_html, "md": _to_markdown, "json": _to_json}
"""What writes each format, by file suffix."""
