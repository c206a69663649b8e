"""The pictures of a report, as SVG: the front, what was retrained, layers, learning curves."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from xml.etree.ElementTree import Element

from autopeft.inference import Estimate
from autopeft.report.axis import CostAxis, Tick
from autopeft.report.chart import LETTER_WIDTH, LINE_HEIGHT, Frame, draw, limits, svg, text
from autopeft.report.formatting import in_words, one_line, score
from autopeft.report.growth import FrontGrowth
from autopeft.report.insertion import InsertionLayers, Occupied
from autopeft.report.learning_curves import Curve, CurveStep
from autopeft.report.markup import element
from autopeft.report.method_marks import colors, mark
from autopeft.report.names import names
from autopeft.report.picture import Picture, Point
from autopeft.report.retrained import RetrainedTable
from autopeft.words import plural

CELL_HEIGHT = 22.0
STRIPE_WIDTH = 20.0
"""Of a method within a cell; its size stands in it."""
MIN_CELL_WIDTH = 48.0
SHARE_WIDTH = 90.0
EXPECTED_WIDTH = 10.0
WEIGHT_OF_NAMED = 10
"""Marks without a name that one with a name counts for where another name is to stand: names would hide each other."""
TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400, 172800, 604800)
"""Seconds between the labels of an axis of time."""


def front(picture: Picture, width: float) -> Element:
    """Draw the Pareto front over the trials that it dominates, each made of its methods' colours and leading to its page."""
    frame = Frame(width, _height(width), picture.axis.limits, picture.y_limits, bottom=44.0)
    marks = [_expected(frame, point.x, *point.interval) for point in picture.front if point.interval is not None]
    lines, words = _references(frame, picture)
    marks += [*lines, _stairs(frame, picture)]
    color = colors(picture.methods)
    for points, class_, radius in ((picture.dominated, "dominated", 4.5), (picture.front, "front", 7.0)):
        marks += [_trial(point, frame.x(point.x), frame.y(point.y), radius, color, class_) for point in points]
    if picture.axis.break_position is not None:
        place = frame.x(picture.axis.break_position)
        marks.append(element("line", x1=place, x2=place, y1=frame.top, y2=frame.height - frame.bottom, class_="break"))
    labels = [(frame.x(point.x), frame.y(point.y), f"#{point.trial}", "label front") for point in picture.front]
    return draw(frame, picture.title, picture.axis.ticks, [*marks, *words, *names(frame, labels)], minor=picture.axis.minor, role="group")


def _trial(point: Point, x: float, y: float, radius: float, color: Mapping[str, str], class_: str) -> Element:
    """Return a trial's mark, with a place around it that a finger finds. Only those of the front are stops of the keyboard."""
    reach = element("circle", cx=x, cy=y, r=radius + 6, class_="reach")
    label = f"trial {point.trial}" + (", on the front" if class_ == "front" else "")
    return element(
        "a",
        element("title", "\n".join(point.lines)),
        reach,
        mark(x, y, radius, [color[method] for method in point.methods]),
        href=f"#trial-{point.trial}",
        class_=f"mark {class_}",
        aria_label=label,
        tabindex=None if class_ == "front" else -1,
    )


def _references(frame: Frame, picture: Picture) -> tuple[list[Element], list[Element]]:
    """Return a line for each value to compare with, and their names, each at the end where fewer marks and names are in its way."""
    lines: list[Element] = []
    words: list[Element] = []
    taken = [(frame.x(point.x), frame.y(point.y), 1) for point in picture.dominated]
    taken += [(frame.x(point.x), frame.y(point.y), WEIGHT_OF_NAMED) for point in picture.front]
    for one in sorted(picture.lines, key=lambda one: one.value):
        y, name = frame.y(one.value), f"{one.name} {score(one.value)}"
        width = LETTER_WIDTH * len(name)
        ends = [(frame.left + 4, frame.left + width, "start"), (frame.width - frame.right - 4, frame.width - frame.right - width, "end")]
        in_the_way = [
            sum(weight for x, other, weight in taken if min(end[:2]) < x < max(end[:2]) and -LINE_HEIGHT < other - y < 6) for end in ends
        ]
        x, far, anchor = ends[in_the_way.index(min(in_the_way))]
        taken.append(((x + far) / 2, y - 4, WEIGHT_OF_NAMED))
        lines.append(element("line", x1=frame.left, x2=frame.width - frame.right, y1=y, y2=y, class_="reference"))
        words.append(text(x, y - 4, name, anchor=anchor, class_="label baseline"))
    return lines, words


def growth(found: FrontGrowth, width: float) -> Element:
    """Draw how the front's hypervolume grew with the seconds that were spent."""
    last = found.steps[-1].seconds or 1.0
    frame = Frame(width, _height(width) * 0.8, (0.0, last * 1.02), (0.0, 1.06), bottom=26.0)
    corners = [(0.0, 0.0)]
    for step in found.steps:
        corners += [(step.seconds, corners[-1][1]), (step.seconds, step.hypervolume)]
    line = " ".join(f"{frame.x(seconds):.1f},{frame.y(share):.1f}" for seconds, share in corners)
    marks = [element("polyline", points=line, class_="stairs")]
    for step in found.steps:
        words = f"after {plural(step.n_trials, 'trial')}, the last of them trial {step.trial}\n{step.hypervolume:.1%} of the hypervolume"
        title = element("title", words)
        marks.append(element("circle", title, cx=frame.x(step.seconds), cy=frame.y(step.hypervolume), r=3.0, class_="front"))
    x_ticks = _time_ticks(last, 4 if width < 500 else 9)
    return draw(frame, "hypervolume of the front over seconds of training", x_ticks, marks)


def retrained(table: RetrainedTable, width: float) -> Element:
    """Draw mean test metrics with their intervals, and the single seeds."""
    metric, whole = table.settings["metric"], table.settings["backbone_parameters"]
    sizes = [entry.results[0].trainable_parameters for entry in table.entries]
    axis = CostAxis.over(sizes, whole, "head only")
    found = [table.estimate(entry, "test", metric) for entry in table.entries]
    frame = Frame(width, _height(width), axis.limits, _limits(found), bottom=44.0)
    marks: list[Element] = []
    labels: list[tuple[float, float, str, str]] = []
    for entry, size, estimate in zip(table.entries, sizes, found, strict=True):
        x, class_ = frame.x(axis.position(size)), "front" if entry.candidate.kind == "trial" else "baseline"
        if len(estimate.values) > 1:
            marks += _interval(frame, x, estimate, class_)
        words = f"{one_line(entry.candidate.name)}\ntest {in_words(metric)} {score(estimate.mean)}\n{size:,} parameters"
        marks.append(_mark(x, frame.y(estimate.mean), class_, words))
        name = f"#{entry.candidate.trial}" if entry.candidate.kind == "trial" else one_line(entry.candidate.name)
        labels.append((x, frame.y(estimate.mean), name, f"label {class_}"))
    label = f"test {in_words(metric)} over trainable parameters, with intervals"
    return draw(frame, label, axis.ticks, [*marks, *names(frame, labels)], minor=axis.minor)


def curves(found: Sequence[Curve], name: str | None, width: float) -> Element | None:
    """Draw a validation metric, or without a name the training loss, over the share of the budget; None if nothing has it."""
    drawn = [(curve, values) for curve in found if (values := _values(curve.steps, name))]
    if not drawn:
        return None
    numbers = [value for _, values in drawn for _, value in values]
    frame = Frame(width, _height(width) * 0.8, (0.0, 1.04), limits(numbers, name), bottom=26.0)
    marks, labels = [], []
    for curve, values in sorted(drawn, key=lambda one: one[0].on_front):
        places = [(frame.x(progress), frame.y(value)) for progress, value in values]
        class_ = "front" if curve.on_front else "running" if curve.state == "running" else "dominated"
        title = f"trial {curve.trial}, {curve.state}" + "".join(f"\n{progress:.0%}: {score(value)}" for progress, value in values)
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        marks.append(element("polyline", element("title", title), points=line, class_=f"curve {class_}"))
        end = (
            _cross(*places[-1]) if curve.state == "stopped" else element("circle", cx=places[-1][0], cy=places[-1][1], r=3.0, class_=class_)
        )
        marks.append(end)
        if class_ != "dominated":
            labels.append((*places[-1], f"#{curve.trial}", "label front" if curve.on_front else "label baseline"))
    x_ticks = [Tick(share, f"{share:.0%}") for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    label = f"{in_words(name) if name else 'training loss'} over the share of the budget"
    return draw(frame, label, x_ticks, [*marks, *names(frame, labels)])


def one_curve(curve: Curve, name: str | None, width: float) -> Element | None:
    """Draw how one trial learnt; arguments as in `curves`."""
    return curves([replace(curve, on_front=True)], name, width)


def layers(found: InsertionLayers, color: Mapping[str, str]) -> Element:
    """Draw where the front's modules stand, each in its method's colour, and beside it how many trials use each layer."""
    left, top = 34.0, 24.0
    cell_width = max(MIN_CELL_WIDTH, STRIPE_WIDTH * len(found.methods) + 4)
    grid_width, height = cell_width * len(found.trials), CELL_HEIGHT * found.n_layers
    rows = {use.layer: top + CELL_HEIGHT * (found.n_layers - 1 - use.layer) for use in found.use}
    columns = {trial: left + cell_width * index for index, trial in enumerate(found.trials)}
    parts = [text(left - 8, y + 15, str(layer), anchor="end", class_="tick") for layer, y in rows.items()]
    parts += [text(x + cell_width / 2, top + height + 16, f"#{trial}", anchor="middle", class_="tick") for trial, x in columns.items()]
    parts += [
        element("rect", x=x + 1, y=y + 1, width=cell_width - 2, height=CELL_HEIGHT - 2, class_="cell")
        for x in columns.values()
        for y in rows.values()
    ]
    stripe = (cell_width - 4) / max(1, len(found.methods))
    for cell in found.occupied:
        x, y = columns[cell.trial] + 2 + stripe * found.methods.index(cell.method), rows[cell.layer] + 2
        title = element("title", _cell_words(cell))
        parts.append(element("rect", title, x=x, y=y, width=stripe - 1, height=CELL_HEIGHT - 4, class_=color[cell.method]))
        if len(size := str(max(cell.sizes))) * 6.5 <= stripe:
            parts.append(text(x + (stripe - 1) / 2, y + 13, size, anchor="middle", class_="in-cell"))
    edge = left + grid_width + 14
    n_each = (len(found.trials), found.n_others)
    for name, total, class_, x in zip(("front", "others"), n_each, ("front", "dominated"), (edge, edge + SHARE_WIDTH + 12), strict=True):
        parts.append(text(x, top - 8, name, class_="tick"))
        for use in found.use:
            share = (use.n_front if name == "front" else use.n_others) / total if total else 0.0
            words = element("title", f"layer {use.layer}: {share:.0%} of {total}")
            parts.append(element("rect", x=x, y=rows[use.layer] + 3, width=SHARE_WIDTH, height=CELL_HEIGHT - 6, class_="track"))
            parts.append(
                element(
                    "rect", words, x=x, y=rows[use.layer] + 3, width=SHARE_WIDTH * share, height=CELL_HEIGHT - 6, class_=f"bar {class_}"
                )
            )
    return svg(edge + 2 * SHARE_WIDTH + 14, top + height + 24, "insertion layers of the trials on the front", parts)


def _time_ticks(last: float, n: int) -> list[Tick]:
    """Return at most about n labelled places from 0 to a time in seconds."""
    step = next((one for one in TIME_STEPS if last / one <= n), TIME_STEPS[-1])
    unit, name = next((size, name) for size, name in ((3600, "h"), (60, "min"), (1, "s")) if step >= size)
    return [Tick(step * index, f"{step * index / unit:g} {name}" if index else "0") for index in range(int(last / step) + 1)]


def _cell_words(cell: Occupied) -> str:
    return f"trial {cell.trial}, layer {cell.layer}: {in_words(cell.method)} {' '.join(map(str, cell.sizes))}"


def _height(width: float) -> float:
    return max(260.0, 0.42 * width)


def _stairs(frame: Frame, picture: Picture) -> Element:
    return element("polyline", points=" ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in picture.stairs), class_="stairs")


def _limits(found: Sequence[Estimate]) -> tuple[float, float]:
    """Return the span of all seeds, and of the intervals as far as they don't dwarf it: those of two seeds are very wide.

    A single interval is shown whole: there is nothing that it could dwarf.
    """
    values = [value for estimate in found for value in estimate.values]
    low, high = min(values), max(values)
    room = math.inf if len(found) == 1 else 0.6 * (high - low) or 0.05
    lows = [estimate.low for estimate in found if math.isfinite(estimate.low)]
    highs = [estimate.high for estimate in found if math.isfinite(estimate.high)]
    low, high = max(low - room, min([low, *lows])), min(high + room, max([high, *highs]))
    margin = 0.06 * (high - low) or 0.05
    return low - margin, high + margin


def _interval(frame: Frame, x: float, estimate: Estimate, class_: str) -> list[Element]:
    low, high = frame.clipped_y(estimate.low), frame.clipped_y(estimate.high)
    # Only an end that is there has a cap: where the picture cuts an interval, it goes on.
    inside = [y for y, value in ((low, estimate.low), (high, estimate.high)) if math.isclose(y, frame.y(value), abs_tol=0.01)]
    ends = [element("line", x1=x - 5, x2=x + 5, y1=y, y2=y, class_=f"interval {class_}") for y in inside]
    seeds = [element("circle", cx=x, cy=frame.y(value), r=2.0, class_=f"seed {class_}") for value in estimate.values]
    return [element("line", x1=x, x2=x, y1=low, y2=high, class_=f"interval {class_}"), *ends, *seeds]


def _expected(frame: Frame, x: float, low: float, high: float) -> Element:
    bottom, top = frame.clipped_y(low), frame.clipped_y(high)
    return element("rect", x=frame.x(x) - EXPECTED_WIDTH / 2, y=top, width=EXPECTED_WIDTH, height=bottom - top, class_="expected")


def _mark(x: float, y: float, class_: str, title: str) -> Element:
    """Return a circle for what the search found and a diamond for a baseline, so that colour is not all that tells them apart."""
    if class_ == "front":
        return element("circle", element("title", title), cx=x, cy=y, r=6.0, class_=class_)
    corners = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in ((0, -8), (8, 0), (0, 8), (-8, 0)))
    return element("polygon", element("title", title), points=corners, class_=class_)


def _cross(x: float, y: float) -> Element:
    return element("path", d=f"M{x - 4:.1f},{y - 4:.1f} l8,8 m0,-8 l-8,8", class_="cross")


def _values(steps: Sequence[CurveStep], name: str | None) -> list[tuple[float, float]]:
    """Return the share of the budget done and the value there, where there is one."""
    pairs = [(step.progress, step.metrics.get(name) if name else step.train_loss) for step in steps]
    return [(progress, value) for progress, value in pairs if value is not None]
