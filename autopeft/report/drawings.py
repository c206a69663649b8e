"""The pictures of a report, as SVG: the front, what was retrained, layers, learning curves."""

import math
from collections.abc import Sequence
from xml.etree.ElementTree import Element

from autopeft.inference import Estimate
from autopeft.report.axis import CostAxis, Tick
from autopeft.report.chart import Frame, draw, svg, text
from autopeft.report.formatting import in_words, one_line, score
from autopeft.report.insertion import InsertionLayers, Occupied
from autopeft.report.learning_curves import Curve, CurveStep
from autopeft.report.markup import element
from autopeft.report.names import names
from autopeft.report.palette import METHODS
from autopeft.report.picture import Picture
from autopeft.report.retrained import RetrainedTable

CELL_WIDTH, CELL_HEIGHT = 34.0, 17.0
SHARE_WIDTH = 64.0
EXPECTED_WIDTH = 10.0


def front(picture: Picture, width: float) -> Element:
    """Draw the Pareto front over the trials that it dominates."""
    frame = Frame(width, _height(width), picture.axis.limits, picture.y_limits, bottom=44.0)
    marks = [_expected(frame, point.x, *point.interval) for point in picture.front if point.interval is not None]
    marks.append(_stairs(frame, picture))
    for points, class_, radius in ((picture.dominated, "dominated", 4.5), (picture.front, "front", 6.0)):
        marks += [
            element("circle", element("title", "\n".join(point.lines)), cx=frame.x(point.x), cy=frame.y(point.y), r=radius, class_=class_)
            for point in points
        ]
    if picture.axis.break_position is not None:
        place = frame.x(picture.axis.break_position)
        marks.append(element("line", x1=place, x2=place, y1=frame.top, y2=frame.height - frame.bottom, class_="break"))
    marks += names(frame, [(frame.x(point.x), frame.y(point.y), f"#{point.trial}", "label front") for point in picture.front])
    return draw(frame, picture.title, picture.axis.ticks, marks, minor=picture.axis.minor)


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
    margin = 0.06 * (max(numbers) - min(numbers)) or 0.05
    frame = Frame(width, _height(width) * 0.8, (0.0, 1.04), (min(numbers) - margin, max(numbers) + margin), bottom=26.0)
    marks, labels = [], []
    for curve, values in sorted(drawn, key=lambda one: one[0].on_front):
        places = [(frame.x(progress), frame.y(value)) for progress, value in values]
        class_ = "front" if curve.on_front else "dominated"
        title = f"trial {curve.trial}, {curve.state}" + "".join(f"\n{progress:.0%}: {score(value)}" for progress, value in values)
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        marks.append(element("polyline", element("title", title), points=line, class_=f"curve {class_}"))
        end = (
            _cross(*places[-1]) if curve.state == "stopped" else element("circle", cx=places[-1][0], cy=places[-1][1], r=3.0, class_=class_)
        )
        marks.append(end)
        if curve.on_front:
            labels.append((*places[-1], f"#{curve.trial}", "label front"))
    x_ticks = [Tick(share, f"{share:.0%}") for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    label = f"{in_words(name) if name else 'training loss'} over the share of the budget"
    return draw(frame, label, x_ticks, [*marks, *names(frame, labels)])


def layers(found: InsertionLayers) -> Element:
    """Draw where the front's modules stand, and beside it how many trials use each layer."""
    left, top = 34.0, 24.0
    grid_width, height = CELL_WIDTH * len(found.trials), CELL_HEIGHT * found.n_layers
    rows = {use.layer: top + CELL_HEIGHT * (found.n_layers - 1 - use.layer) for use in found.use}
    columns = {trial: left + CELL_WIDTH * index for index, trial in enumerate(found.trials)}
    parts = [text(left - 8, y + 13, str(layer), anchor="end", class_="tick") for layer, y in rows.items()]
    parts += [text(x + CELL_WIDTH / 2, top + height + 16, f"#{trial}", anchor="middle", class_="tick") for trial, x in columns.items()]
    parts += [
        element("rect", x=x + 1, y=y + 1, width=CELL_WIDTH - 2, height=CELL_HEIGHT - 2, class_="cell")
        for x in columns.values()
        for y in rows.values()
    ]
    stripe = (CELL_WIDTH - 4) / max(1, len(found.methods))
    for cell in found.occupied:
        index = found.methods.index(cell.method)
        x, y = columns[cell.trial] + 2 + stripe * index, rows[cell.layer] + 2
        color = METHODS[index % len(METHODS)]
        title = element("title", _cell_words(cell))
        parts.append(element("rect", title, x=x, y=y, width=max(1.5, stripe - 1), height=CELL_HEIGHT - 4, fill=color))
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


def _cell_words(cell: Occupied) -> str:
    return f"trial {cell.trial}, layer {cell.layer}: {in_words(cell.method)} {' '.join(map(str, cell.sizes))}"


def _height(width: float) -> float:
    return max(260.0, 0.55 * width)


def _stairs(frame: Frame, picture: Picture) -> Element:
    return element("polyline", points=" ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in picture.stairs), class_="stairs")


def _limits(found: Sequence[Estimate]) -> tuple[float, float]:
    """Return the span of all seeds, and of the intervals as far as they don't dwarf it: those of two seeds are very wide."""
    values = [value for estimate in found for value in estimate.values]
    low, high = min(values), max(values)
    room = 0.6 * (high - low) or 0.05
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
