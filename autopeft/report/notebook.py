"""A run as notebooks show it: its front as a picture and its tables, as a piece of HTML that needs nothing else."""

import base64
from xml.etree.ElementTree import Element, tostring

from autopeft.report import drawings
from autopeft.report.expected import ExpectedFront
from autopeft.report.header import RunHeader
from autopeft.report.leaderboard import Leaderboard, Table, introduction, tables
from autopeft.report.markup import element
from autopeft.report.method_marks import key
from autopeft.report.palette import LIGHT
from autopeft.report.picture import Picture, draw
from autopeft.report.style import style_sheet
from autopeft.study.directory import RunDirectory
from autopeft.study.reader import StudyReader

WIDTH = 720.0
"""Of the picture, in pixels."""
LEAST_WIDTH = 400
"""Of the picture and of a configuration, in pixels: below, their letters are too small and their lines too short."""
SCROLLS = "overflow-x: auto"


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
    shown = [_figure(draw(leaderboard, header, expected.interval))] if leaderboard.front else []
    parts = [*(element("div", line) for line in introduction(leaderboard, header)), *shown, *(_table(table) for table in found)]
    return element("div", parts)


def _figure(picture: Picture) -> Element:
    """Return the front as an image that carries its own style: neither a notebook's nor ours reaches the other's elements."""
    drawing = drawings.front(picture, WIDTH)
    drawing.set("xmlns", "http://www.w3.org/2000/svg")
    drawing.insert(0, element("style", style_sheet(dark=False)))
    drawing.insert(1, element("rect", width="100%", height="100%", fill=LIGHT["paper"]))  # a notebook may be dark
    address = f"data:image/svg+xml;base64,{base64.b64encode(tostring(drawing)).decode()}"
    image = element("img", src=address, alt=picture.title, width=WIDTH, style=f"max-width: 100%; min-width: {LEAST_WIDTH}px; height: auto")
    discs = [(element("span", "● ", style=f"color: {LIGHT[color]}"), words) for color, words in key(picture.methods)]
    methods = [element("span", disc, f"{words}  ") for disc, words in discs]
    parts = [element("figcaption", picture.y_title), element("div", image, style=SCROLLS), element("div", picture.x_title)]
    return element("figure", parts, element("div", methods), style="margin: 1em 0")


def _table(table: Table) -> Element:
    sides = ["right" if column.is_number else "left" for column in table.columns]
    styles = [f"text-align: {side}" for side in sides]
    styles[-1] += f"; min-width: {LEAST_WIDTH}px"  # configurations are long, and a narrow page would give them a word a line
    titles = [element("th", column.title, style=f"text-align: {side}") for column, side in zip(table.columns, sides, strict=True)]
    rows = [element("tr", [element("td", cell, style=style) for cell, style in zip(row, styles, strict=True)]) for row in table.rows]
    head = [element("caption", table.title, style="text-align: left"), element("thead", element("tr", titles))]
    return element("div", element("table", head, element("tbody", rows)), style=SCROLLS)
