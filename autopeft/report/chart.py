"""A frame with axes, as SVG: where numbers stand, and the grid behind them.

Texts that can be long (titles, names of axes) are no part of a chart: a page writes them around it, where they wrap.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from autopeft.report.axis import Tick
from autopeft.report.formatting import short_number
from autopeft.report.markup import element
from autopeft.tasks.metrics import bounds

LETTER_WIDTH = 7.0
"""Of a digit, in pixels."""
LINE_HEIGHT = 15.0


@dataclass(frozen=True)
class Frame:
    """A rectangle with a scale on each side, in pixels."""

    width: float
    height: float
    x_limits: tuple[float, float]
    y_limits: tuple[float, float]
    left: float = 50.0
    right: float = 20.0
    top: float = 14.0
    bottom: float = 38.0

    def x(self, value: float) -> float:
        """Return where a value stands, from the left."""
        low, high = self.x_limits
        return self.left + (value - low) / (high - low) * (self.width - self.left - self.right)

    def y(self, value: float) -> float:
        """Return where a value stands, from the top."""
        low, high = self.y_limits
        return self.height - self.bottom - (value - low) / (high - low) * (self.height - self.top - self.bottom)

    def clipped_y(self, value: float) -> float:
        """Return where a value stands, or the edge that it lies beyond."""
        return self.y(min(max(value, self.y_limits[0]), self.y_limits[1]))


def draw(
    frame: Frame, label: str, x_ticks: Sequence[Tick], marks: Sequence[Element], *, minor: Sequence[float] = (), role: str = "img"
) -> Element:
    """Return a chart: grid, labels of the axes and the marks upon them.

    Args:
        frame: The scales.
        label: What it shows, for people who can't see it.
        x_ticks: Labelled places; those without room are left out.
        marks: What is drawn, the first at the bottom.
        minor: Places of thin lines on the horizontal axis.
        role: "group" where marks are links: what lies in an "img" can't be reached.
    """
    base = frame.height - frame.bottom
    grid = [_line(frame.x(place), frame.top, frame.x(place), base, class_="grid thin") for place in minor]
    labels: list[Element] = []
    for tick in _with_room(frame, x_ticks):
        place = frame.x(tick.position)
        grid.append(_line(place, frame.top, place, base, class_="grid"))
        labels.append(text(place, base + LINE_HEIGHT, tick.label, anchor="middle", class_="tick"))
        if tick.detail:
            labels.append(text(place, base + 2 * LINE_HEIGHT, tick.detail, anchor="middle", class_="tick"))
    for value in ticks(*frame.y_limits):
        grid.append(_line(frame.left, frame.y(value), frame.width - frame.right, frame.y(value), class_="grid"))
        labels.append(text(frame.left - 6, frame.y(value) + 4, short_tick(value), anchor="end", class_="tick"))
    return svg(frame.width, frame.height, label, [*grid, *labels, *marks], role=role)


def svg(width: float, height: float, label: str, children: Sequence[Element], *, role: str = "img") -> Element:
    """Return a drawing that fills the width it is given, up to its own."""
    box = f"0 0 {width:g} {height:g}"
    return element("svg", children, viewBox=box, width=width, height=height, role=role, aria_label=label)


def text(x: float, y: float, words: str, *, anchor: str = "start", class_: str = "", title: str = "") -> Element:
    """Return words at a place."""
    return element("text", *([element("title", title)] if title else []), words, x=x, y=y, text_anchor=anchor, class_=class_ or None)


def limits(values: Sequence[float], metric: str | None = None) -> tuple[float, float]:
    """Return the span of some values with a little room; where all are alike, with more, but no farther than the metric reaches.

    Args:
        values: At least one.
        metric: What they are of; None: of something without bounds that matter here.
    """
    low, high = min(values), max(values)
    if low == high:
        least, most = (-math.inf, math.inf) if metric is None else bounds(metric)
        low, high = max(low - 0.05, min(low, least)), min(high + 0.05, max(high, most))
    margin = 0.06 * (high - low)
    return low - margin, high + margin


def ticks(low: float, high: float, n: int = 5) -> list[float]:
    """Return round numbers between two limits, about n of them, in steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / n
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    return [round(index * step, 10) for index in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def short_tick(value: float) -> str:
    """Write a number beside an axis."""
    return short_number(value) if value >= 1000 else f"{value:g}"


def _line(x1: float, y1: float, x2: float, y2: float, *, class_: str) -> Element:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def _with_room(frame: Frame, found: Sequence[Tick]) -> list[Tick]:
    """Return the ticks, from the left, whose labels don't touch."""
    kept: list[Tick] = []
    edge = -math.inf
    for tick in found:
        half = LETTER_WIDTH * (0.5 + max(len(tick.label), len(tick.detail)) / 2)
        if frame.x(tick.position) - half >= edge:
            kept.append(tick)
            edge = frame.x(tick.position) + half
    return kept
