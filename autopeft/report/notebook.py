"""A run as notebooks show it: its tables, as a piece of HTML."""

from xml.etree.ElementTree import Element, tostring

from autopeft.report.expected import ExpectedFront
from autopeft.report.header import RunHeader
from autopeft.report.leaderboard import Leaderboard, Table, introduction, tables
from autopeft.report.markup import element
from autopeft.study.directory import RunDirectory
from autopeft.study.reader import StudyReader


def as_html(run: RunDirectory) -> str:
    """Return a run's front and leaderboard, as briefly as a terminal shows them; what users wrote stays text."""
    return tostring(as_element(run), encoding="unicode", method="html")


def as_element(run: RunDirectory) -> Element:
    """Return the same as an element, to stand among others."""
    study = StudyReader.open(run)
    records, objectives = study.records(), study.objectives
    header = RunHeader.from_settings(run.settings(), run.path.resolve().name)
    leaderboard = Leaderboard.of(records, objectives)
    expected = ExpectedFront.of(records, objectives, study.expectations(), header.n_validation)
    words = expected.words if expected.trials else None
    found = tables(leaderboard, header, brief=True, expected=words)
    parts = [*(element("div", line) for line in introduction(leaderboard, header)), *(_table(table) for table in found)]
    return element("div", parts)


def _table(table: Table) -> Element:
    sides = ["right" if column.is_number else "left" for column in table.columns]
    titles = [element("th", column.title, style=f"text-align: {side}") for column, side in zip(table.columns, sides, strict=True)]
    rows = [
        element("tr", [element("td", cell, style=f"text-align: {side}") for cell, side in zip(row, sides, strict=True)])
        for row in table.rows
    ]
    return element("table", element("caption", table.title), element("thead", element("tr", titles)), element("tbody", rows))
