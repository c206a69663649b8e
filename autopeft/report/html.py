"""A report as one HTML page that needs nothing else: no network, no script but its own, which it can do without.

The same page is written into a file and served while a search runs; then it looks now and then whether there is a new one.
"""

import base64
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

from autopeft.report.blocks import Block, Code, Drawing, Folded, Matrix, Section, TrialCurve
from autopeft.report.content import Report
from autopeft.report.figures import figures, trial_curve
from autopeft.report.leaderboard import Column, Table
from autopeft.report.markup import element, to_html
from autopeft.report.style import style_sheet
from autopeft.report.trial_page import key, pages

SHORT, LONG = 24, 40
"""Letters of a cell that stays on one line, and of one that needs a wide column."""
_MATRIX_NOTE = "Rows: the true ones. Columns: what they were taken for. The stronger the colour, the larger the share of the row."
SCRIPT = Path(__file__).with_name("page.js")
"""What the page can do beyond being read."""


def to_page(title: str, report: Report, found: Sequence[Section], made_by: str, *, live_seconds: float = 0.0) -> str:
    """Return the page.

    Args:
        title: What it is called.
        report: What it shows.
        found: The report in words.
        made_by: What stands at its foot.
        live_seconds: How often it looks for a new page at its own address; 0: never.
    """
    links = [element("a", section.title, href=f"#{section.key}") for section in found]
    trials = pages(report)
    return _page(
        title,
        element("nav", links, aria_label="Sections"),
        [_section(section, report) for section in found],
        [_trial(place, trials, report) for place in range(len(trials))],
        made_by,
        live_seconds,
    )


def to_words(title: str, words: str, made_by: str, *, live_seconds: float = 0.0) -> str:
    """Return a page of the same look that says a few words; arguments as of `to_page`."""
    section = element("section", element("p", words), id_="words", data_part="")
    return _page(title, element("nav", aria_label="Sections"), [section], [], made_by, live_seconds)


def _page(title: str, nav: Element, whole: Sequence[Element], each: Sequence[Element], made_by: str, live_seconds: float) -> str:
    script = SCRIPT.read_text(encoding="utf-8")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy(script, live=live_seconds > 0)),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", style_sheet()),
    )
    body = element(
        "body",
        element("header", element("h1", title), nav, id_="top", data_part=""),
        element("p", id_="connection", role="status") if live_seconds else [],
        element("main", element("div", whole, id_="whole"), element("div", each, id_="each"), id_="main"),
        element("footer", element("p", made_by)),
        element("div", id_="tip", role="tooltip", hidden=""),
        element("script", script),
    )
    return to_html(element("html", head, body, lang="en", data_live=live_seconds or None))


def policy(script: str, *, live: bool) -> str:
    """Return what a browser lets the page do: run this one script, and fetch nothing but, live, the page itself."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    connect = "'self'" if live else "'none'"
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; connect-src {connect}; "
        "base-uri 'none'; form-action 'none'"
    )


def _section(section: Section, report: Report) -> Element:
    blocks = [part for block in section.blocks for part in _block(block, report)]
    return element("section", element("h2", section.title), blocks, id_=section.key, data_part="")


def _trial(place: int, trials: Sequence[Section], report: Report) -> Element:
    """Return a trial's page, with ways to its neighbours and back."""
    page = trials[place]
    ways = [element("a", "← All of the report", href="#top")]
    ways += [element("a", f"‹ {trials[other].title}", href=f"#{trials[other].key}") for other in (place - 1,) if other >= 0]
    ways += [element("a", f"{trials[other].title} ›", href=f"#{trials[other].key}") for other in (place + 1,) if other < len(trials)]
    blocks = [part for block in page.blocks for part in _block(block, report)]
    head = element("h2", page.title, tabindex=-1)
    return element(
        "article", element("nav", ways, aria_label=f"Ways from {page.title}"), head, blocks, id_=page.key, class_="trial", data_part=""
    )


def _block(block: Block, report: Report) -> list[Element]:
    match block:
        case str():
            return [_sentence(block, report)]
        case Code(text):
            return [element("pre", element("code", text), tabindex=0)]
        case Table():
            return [element("h3", block.title), _table(block, report)]
        case Folded(table):
            return [element("details", element("summary", table.title), _table(table, report))]
        case Matrix(table):
            return [element("h3", table.title), _matrix(table)]
        case Drawing():
            return figures(block, report)
        case TrialCurve(trial):
            return trial_curve(report, trial)


_A_TRIAL = re.compile(r"(trial )(\d+)")


def _sentence(text: str, report: Report) -> Element:
    """Return a paragraph in which trials lead to their pages."""
    parts: list[Element | str] = []
    end = 0
    for found in _A_TRIAL.finditer(text):
        number = int(found[2])
        if number in report.details:
            parts += [text[end : found.start()], _link(number, found[0])]
            end = found.end()
    return element("p", *parts, text[end:])


def _link(trial: int, words: str) -> Element:
    return element("a", words, href=f"#{key(trial)}")


def _table(table: Table, report: Report) -> Element:
    """Return a table; the numbers of trials lead to their pages."""
    head = element("tr", [_head(column) for column in table.columns])
    rows = [element("tr", [_cell(column, cell, report) for column, cell in zip(table.columns, row, strict=True)]) for row in table.rows]
    sorts = len(rows) > 1 and len(table.columns) > 2 and any(column.is_number for column in table.columns)
    keeps = all(len(row[0]) <= SHORT for row in table.rows)
    kinds = ["rows", *(["sorts"] if sorts else []), *(["keeps"] if keeps else [])]
    return _box(element("table", element("thead", head), element("tbody", rows), class_=" ".join(kinds)), table.title)


def _head(column: Column) -> Element:
    return element("th", column.title, class_="number" if column.is_number else None, scope="col")


def _cell(column: Column, cell: str, report: Report) -> Element:
    is_trial = column.title == "trial" and cell.isdigit() and int(cell) in report.details
    return element("td", _link(int(cell), cell) if is_trial else cell, class_=_kind(column, cell))


def _matrix(table: Table) -> Element:
    """Return counts, the larger the darker within their row; the diagonal is framed."""
    head = element("tr", [_head(column) for column in table.columns])
    rows = []
    for place, (name, *cells) in enumerate(table.rows):
        counts = [int(cell.replace(",", "")) for cell in cells]
        whole = max(1, sum(counts))
        shown = [
            element("td", cell, class_="number diagonal" if column == place else "number", style=f"--share: {count / whole:.0%}")
            for column, (cell, count) in enumerate(zip(cells, counts, strict=True))
        ]
        rows.append(element("tr", element("th", name, scope="row"), shown))
    box = _box(element("table", element("thead", head), element("tbody", rows), class_="matrix"), table.title)
    return element("div", box, element("p", _MATRIX_NOTE, class_="note"))


def _box(table: Element, title: str) -> Element:
    """Return a table in a box that scrolls by itself, and can be reached by keyboard."""
    return element("div", table, class_="box", tabindex=0, role="region", aria_label=title)


def _kind(column: Column, cell: str) -> str | None:
    if column.is_number:
        return "number"
    if column.title == "configuration":
        return "configuration"
    return "short" if len(cell) <= SHORT else "long" if len(cell) > LONG else None
