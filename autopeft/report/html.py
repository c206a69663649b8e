"""A report as one HTML page that needs nothing else: no network, no script."""

from collections.abc import Callable, Sequence
from pathlib import Path
from string import Template
from xml.etree.ElementTree import Element

from autopeft.inference import CONFIDENCE
from autopeft.report import drawings
from autopeft.report.background import direction
from autopeft.report.blocks import Block, Code, Drawing, Folded, Section
from autopeft.report.content import Report
from autopeft.report.formatting import better, in_words
from autopeft.report.importance import Importances
from autopeft.report.leaderboard import Column, Table
from autopeft.report.markup import element, to_html
from autopeft.report.palette import DARK, LIGHT, METHODS

WIDE, NARROW = 880.0, 350.0
"""Every chart with axes is drawn for a desk and for a phone: one drawing scaled down would have letters too small to read."""

SHORT, LONG = 24, 40
"""Letters of a cell that stays on one line, and of one that needs a wide column."""
STYLE = Path(__file__).with_name("page.css")
"""The page's look; $light and $dark are the colours."""


def to_page(title: str, report: Report, found: Sequence[Section], made_by: str) -> str:
    """Return the page."""
    style = Template(STYLE.read_text(encoding="utf-8")).substitute(light=_variables(LIGHT), dark=_variables(DARK))
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", style),
    )
    links = [element("a", section.title, href=f"#{section.key}") for section in found]
    body = element("body", element("h1", title), element("nav", links), [_section(section, report) for section in found])
    body.append(element("footer", element("p", made_by)))
    return to_html(element("html", head, body, lang="en"))


def _variables(colors: dict[str, str]) -> str:
    return " ".join(f"--{name}: {color};" for name, color in colors.items())


def _section(section: Section, report: Report) -> Element:
    blocks = [part for block in section.blocks for part in _block(block, report)]
    return element("section", element("h2", section.title), blocks, id_=section.key)


def _block(block: Block, report: Report) -> list[Element]:
    match block:
        case str():
            return [element("p", block)]
        case Code(text):
            return [element("pre", element("code", text))]
        case Table():
            return [element("h3", block.title), _table(block)]
        case Folded(table):
            return [element("details", element("summary", table.title), _table(table))]
        case Drawing():
            return _DRAWERS[block](report)


def _table(table: Table) -> Element:
    head = element("tr", [element("th", column.title, class_="number" if column.is_number else None) for column in table.columns])
    rows = [
        element(
            "tr",
            [element("td", cell, class_=_kind(column, cell)) for column, cell in zip(table.columns, row, strict=True)],
        )
        for row in table.rows
    ]
    # A box that scrolls must be reachable by keyboard.
    return element(
        "div",
        element("table", element("thead", head), element("tbody", rows)),
        class_="box",
        tabindex=0,
        role="region",
        aria_label=table.title,
    )


def _kind(column: Column, cell: str) -> str | None:
    if column.is_number:
        return "number"
    return "short" if len(cell) <= SHORT else "long" if len(cell) > LONG else None


def _front(report: Report) -> list[Element]:
    picture = report.picture
    if picture is None:
        return []
    legend = [
        ("circle", "front", f"{picture.names[0]} ({len(picture.front)}), with trial numbers"),
        ("circle", "dominated", f"{picture.names[1]} ({len(picture.dominated)})"),
    ]
    if report.expected.trials:
        legend.append(("bar", "expected", f"where its mean over seeds is expected ({CONFIDENCE:.0%})"))
    return [_figure(lambda width: drawings.front(picture, width), picture.y_title, picture.x_title, legend)]


def _retrained(report: Report) -> list[Element]:
    table = report.retrained
    if table is None:
        return []
    kinds = {entry.candidate.kind for entry in table.entries}
    legend = [("circle", "front", "found by the search, with trial numbers")] if "trial" in kinds else []
    legend += [("diamond", "baseline", "tuned baseline")] if "baseline" in kinds else []
    title = f"test {in_words(table.settings['metric'])}: mean over seeds, 95% interval, single seeds as small dots"
    x_title = "trainable parameters without the head (count, log scale; below: share of the model)"
    return [_figure(lambda width: drawings.retrained(table, width), title, x_title, legend)]


def _curves(report: Report) -> list[Element]:
    found, objective = report.learning_curves.curves, report.leaderboard.objectives[0]
    names = [objective.name] + (["loss"] if objective.name != "loss" else [])
    drawn: list[tuple[str | None, str]] = [(name, f"validation {in_words(name)}") for name in names]
    figures = []
    for name, title in [*drawn, (None, "training loss")]:
        if drawings.curves(found, name, NARROW) is not None:
            figures.append(_curve_figure(report, name, title))
    stopped = any(curve.state == "stopped" for curve in found)
    legend = _legend(
        [
            ("circle", "front", "Pareto front"),
            ("line", "dominated", "others"),
            *([("cross", "cross", "stopped at a rung")] if stopped else []),
        ]
    )
    return [legend, element("div", figures, class_="pair")]


def _curve_figure(report: Report, name: str | None, title: str) -> Element:
    drawing = drawings.curves(report.learning_curves.curves, name, NARROW + 60)
    parts = [drawing] if drawing is not None else []
    return element("figure", element("figcaption", title), parts, element("p", "share of the trial's budget", class_="axis"))


def _layers(report: Report) -> list[Element]:
    found = report.layers
    swatches = [
        element("span", _swatch(element("rect", x=1, y=1, width=10, height=10, fill=METHODS[index % len(METHODS)])), in_words(method))
        for index, method in enumerate(found.methods)
    ]
    box = element("div", drawings.layers(found), class_="box", tabindex=0, role="region", aria_label="insertion layers")
    caption = element("p", "Bars: share of the front's trials, and of all others, that use the layer.", class_="note")
    return [element("p", swatches, class_="legend"), box, caption]


def _importance(report: Report) -> list[Element]:
    return [part for found in report.importances if found.parameters for part in _bars(found)]


def _bars(found: Importances) -> list[Element]:
    """Draw importances as bars of the page's own, which fit any width."""
    largest = max(found.chance, *(one.importance for one in found.parameters))
    rows: list[Element] = []
    for one in found.parameters:
        kind = {True: " better", False: " worse", None: ""}[one.helps if one.above_chance else None]
        bar = element("div", class_=f"bar{kind}", style=f"width: {one.importance / largest:.1%}")
        chance = element("div", class_="chance", style=f"left: {found.chance / largest:.1%}")
        words = direction(one, found.objective) if one.above_chance else "no more than chance"
        track = element("div", bar, chance, class_="track")
        rows.append(element("div", element("span", one.parameter), track, element("span", f"{one.importance:.0%}, {words}")))
    title = f"{in_words(found.objective.name)} ({better(found.objective)} is better); dashed: what chance explains"
    return [element("figure", element("figcaption", title), element("div", rows, class_="bars"))]


_DRAWERS: dict[Drawing, Callable[[Report], list[Element]]] = {
    Drawing.FRONT: _front,
    Drawing.RETRAINED: _retrained,
    Drawing.IMPORTANCE: _importance,
    Drawing.LAYERS: _layers,
    Drawing.CURVES: _curves,
}


def _figure(drawn: Callable[[float], Element], y_title: str, x_title: str, legend: Sequence[tuple[str, str, str]]) -> Element:
    return element(
        "figure",
        element("figcaption", y_title),
        _legend(legend),
        element("div", drawn(WIDE), class_="wide"),
        element("div", drawn(NARROW), class_="narrow"),
        element("p", x_title, class_="axis"),
    )


def _legend(entries: Sequence[tuple[str, str, str]]) -> Element:
    shapes = {
        "circle": lambda class_: element("circle", cx=6, cy=6, r=4.5, class_=class_),
        "diamond": lambda class_: element("polygon", points="6,0 12,6 6,12 0,6", class_=class_),
        "line": lambda class_: element("line", x1=0, x2=12, y1=6, y2=6, class_=f"curve {class_}"),
        "bar": lambda class_: element("rect", x=2, y=0, width=8, height=12, class_=class_),
        "cross": lambda class_: element("path", d="M2,2 l8,8 m0,-8 l-8,8", class_=class_),
    }
    return element("p", [element("span", _swatch(shapes[shape](class_)), words) for shape, class_, words in entries], class_="legend")


def _swatch(shape: Element) -> Element:
    return element("svg", shape, width=12, height=12, viewBox="0 0 12 12", aria_hidden="true")
