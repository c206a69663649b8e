"""The figures of a page: drawings with what stands around them."""

from collections.abc import Callable, Sequence
from xml.etree.ElementTree import Element

from autopeft.inference import CONFIDENCE
from autopeft.report import drawings
from autopeft.report.background import direction
from autopeft.report.blocks import Drawing
from autopeft.report.content import Report
from autopeft.report.formatting import better, in_words
from autopeft.report.importance import Importances
from autopeft.report.markup import element
from autopeft.report.method_marks import colors, key

WIDE, NARROW = 1080.0, 350.0
"""Every chart with axes is drawn for a desk and for a phone: one drawing scaled down would have letters too small to read."""
PAIRED = 520.0
"""Width of a drawing that stands beside another."""


def figures(drawing: Drawing, report: Report) -> list[Element]:
    """Return what a report shows at a place for a drawing; nothing where it has nothing to draw."""
    return _DRAWERS[drawing](report)


def trial_curve(report: Report, trial: int) -> list[Element]:
    """Return how a trial learnt."""
    curve = next(one for one in report.learning_curves.curves if one.trial == trial)
    drawn = [(title, drawings.one_curve(curve, name, PAIRED)) for name, title in _measures(report)]
    return [element("div", [_curve_figure(title, one) for title, one in drawn if one is not None], class_="pair")]


def _front(report: Report) -> list[Element]:
    picture = report.picture
    if picture is None:
        return []
    swatches = key(picture.methods)
    methods = [element("span", _swatch(element("circle", cx=6, cy=6, r=5.5, class_=fill)), words) for fill, words in swatches]
    legend = [
        ("large", "key-front", f"{picture.names[0]} ({len(picture.front)}), with trial numbers"),
        ("circle", "key-dominated", f"{picture.names[1]} ({len(picture.dominated)})"),
    ]
    if report.expected.trials:
        legend.append(("bar", "expected", f"where its mean over seeds is expected ({CONFIDENCE:.0%})"))
    if picture.lines:
        legend.append(("line", "reference", "to compare with"))
    figure = _figure(lambda width: drawings.front(picture, width), picture.y_title, picture.x_title, legend)
    figure.insert(2, element("p", methods, class_="legend"))
    return [figure]


def _growth(report: Report) -> list[Element]:
    title = "hypervolume of the front, as a share of what it is now"
    return [_figure(lambda width: drawings.growth(report.growth, width), title, "time of all trials added up", [])]


def _status(report: Report) -> list[Element]:
    share = report.status.share
    if share is None:
        return []
    bar = element("div", class_="bar front", style=f"width: {share:.1%}")
    label = f"{share:.0%} of the trials are done"
    return [element("div", bar, class_="meter", role="img", aria_label=label)]


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


def _measures(report: Report) -> list[tuple[str | None, str]]:
    """Return what curves show: names of metrics, None for the training loss, with titles."""
    objective = report.leaderboard.objectives[0]
    names = [objective.name] + (["loss"] if objective.name != "loss" else [])
    return [*((name, f"validation {in_words(name)}") for name in names), (None, "training loss")]


def _curves(report: Report) -> list[Element]:
    found = [curve for curve in report.learning_curves.curves if len(curve.steps) > 1]
    drawn = [(title, drawings.curves(found, name, PAIRED)) for name, title in _measures(report)]
    states = {curve.state for curve in found}
    legend = [("circle", "front", "Pareto front"), ("line", "curve dominated", "others")]
    legend += [("line", "curve running", "running")] if "running" in states else []
    legend += [("cross", "cross", "stopped at a rung")] if "stopped" in states else []
    return [_legend(legend), element("div", [_curve_figure(title, one) for title, one in drawn if one is not None], class_="pair")]


def _curve_figure(title: str, drawing: Element) -> Element:
    return element("figure", element("figcaption", title), drawing, element("p", "share of the trial's budget", class_="axis"))


def _layers(report: Report) -> list[Element]:
    found = report.layers
    color = colors(dict.fromkeys((*(report.picture.methods if report.picture else ()), *found.methods)))
    swatches = [
        element("span", _swatch(element("rect", x=1, y=1, width=10, height=10, class_=color[method])), in_words(method))
        for method in found.methods
    ]
    box = element("div", drawings.layers(found, color), class_="box", tabindex=0, role="region", aria_label="insertion layers")
    caption = element("p", "Numbers: sizes. Bars: share of the front's trials, and of all others, that use the layer.", class_="note")
    return [element("p", swatches, class_="legend"), box, caption]


def _importance(report: Report) -> list[Element]:
    found = [one for one in report.importances if any(parameter.above_chance for parameter in one.parameters)]
    return [part for one in found for part in _bars(one)]


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
    Drawing.STATUS: _status,
    Drawing.FRONT: _front,
    Drawing.GROWTH: _growth,
    Drawing.RETRAINED: _retrained,
    Drawing.IMPORTANCE: _importance,
    Drawing.LAYERS: _layers,
    Drawing.CURVES: _curves,
}


def _figure(drawn: Callable[[float], Element], y_title: str, x_title: str, legend: Sequence[tuple[str, str, str]]) -> Element:
    return element(
        "figure",
        element("figcaption", y_title),
        [_legend(legend)] if legend else [],
        element("div", drawn(WIDE), class_="wide"),
        element("div", drawn(NARROW), class_="narrow"),
        element("p", x_title, class_="axis"),
    )


def _legend(entries: Sequence[tuple[str, str, str]]) -> Element:
    shapes = {
        "circle": lambda class_: element("circle", cx=6, cy=6, r=4.0, class_=class_),
        "large": lambda class_: element("circle", cx=6, cy=6, r=5.0, class_=class_),
        "diamond": lambda class_: element("polygon", points="6,0 12,6 6,12 0,6", class_=class_),
        "line": lambda class_: element("line", x1=0, x2=12, y1=6, y2=6, class_=class_),
        "bar": lambda class_: element("rect", x=2, y=0, width=8, height=12, class_=class_),
        "cross": lambda class_: element("path", d="M2,2 l8,8 m0,-8 l-8,8", class_=class_),
    }
    return element("p", [element("span", _swatch(shapes[shape](class_)), words) for shape, class_, words in entries], class_="legend")


def _swatch(shape: Element) -> Element:
    return element("svg", shape, width=12, height=12, viewBox="0 0 12 12", aria_hidden="true")
