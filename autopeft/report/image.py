"""The Pareto plot as a still picture, PNG or SVG, by matplotlib."""

import pathlib
from collections.abc import Sequence
from textwrap import wrap
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.path import Path
from matplotlib.text import Annotation
from matplotlib.transforms import IdentityTransform

from autopeft.report.method_marks import colors, key, slices
from autopeft.report.palette import DOMINATED, FRONT, GRID, INK, LIGHT, SOFT_INK
from autopeft.report.picture import Picture, Point

SIZE_INCHES = (8.0, 5.0)
DOTS_PER_INCH = 160


def write_image(picture: Picture, path: pathlib.Path) -> None:
    """Write the plot; the path's suffix decides the format."""
    # A dollar sign in a user's task name is no formula, and the ids in an SVG don't change from call to call.
    with mpl.rc_context({"text.parse_math": False, "svg.hashsalt": "autopeft", "font.size": 9, "text.color": INK}):
        # A figure of its own: pyplot would keep global state and look for a display.
        figure = Figure(figsize=SIZE_INCHES, layout="constrained")
        axes = figure.add_subplot()
        _draw_points(axes, picture)
        _draw_axes(axes, picture)
        _write_words(figure, axes, picture)
        figure.draw_without_rendering()
        _label_front(axes, picture)
        metadata = {"Date": None} if path.suffix == ".svg" else None
        figure.savefig(path, dpi=DOTS_PER_INCH, metadata=metadata)


def _draw_points(axes: Axes, picture: Picture) -> None:
    dim, bright = picture.dominated, picture.front
    axes.plot(*zip(*picture.stairs, strict=True), color=FRONT, linewidth=1.4, zorder=3)
    _draw_discs(axes, dim, picture.methods, radius=3.2, alpha=0.7, zorder=2)
    axes.scatter(*_places(bright), s=100, facecolor="white", edgecolor=INK, linewidth=1.6, zorder=4)  # the ring around them
    _draw_discs(axes, bright, picture.methods, radius=4.6, alpha=1.0, zorder=5)


def _places(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [point.x for point in points], [point.y for point in points]


def _draw_discs(axes: Axes, points: Sequence[Point], methods: Sequence[str], *, radius: float, alpha: float, zorder: int) -> None:
    """Draw a disc for each trial with a slice for each of its methods, as on a report's page; one without methods stays empty."""
    color = colors(methods)
    empty = [point for point in points if not point.methods]
    axes.scatter(*_places(empty), s=3 * radius**2, facecolor="white", edgecolor=DOMINATED, zorder=zorder)
    parts = [
        (Path.wedge(90 - 360 * end, 90 - 360 * begin) if len(point.methods) > 1 else Path.unit_circle(), point, LIGHT[color[method]])
        for point in points
        for (begin, end), method in zip(slices(len(point.methods)), point.methods, strict=True)
    ]
    if parts:
        paths, owners, fills = zip(*parts, strict=True)
        places = [(point.x, point.y) for point in owners]
        drawn = PathCollection(paths, sizes=[radius**2], offsets=places, offset_transform=axes.transData, facecolors=fills, alpha=alpha)
        drawn.set(linewidth=0, zorder=zorder, transform=IdentityTransform())  # radii are in points
        axes.add_collection(drawn, autolim=False)


def _draw_axes(axes: Axes, picture: Picture) -> None:
    ticks = picture.axis.ticks
    axes.set_xticks([tick.position for tick in ticks], [f"{tick.label}\n{tick.detail}" for tick in ticks])
    axes.set_xticks(picture.axis.minor, minor=True)
    axes.set_xlim(picture.axis.limits)
    axes.set_ylim(picture.y_limits)
    axes.grid(which="both", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", length=0, colors=SOFT_INK)
    axes.spines[["top", "right"]].set_visible(False)
    if picture.axis.break_position is not None:
        axes.axvline(picture.axis.break_position, color=DOMINATED, linewidth=1, linestyle=(0, (2, 3)), zorder=1)


def _write_words(figure: Figure, axes: Axes, picture: Picture) -> None:
    axes.set_xlabel(picture.x_title)
    axes.set_ylabel(picture.y_title)
    subtitle = wrap(picture.subtitle, 125)
    axes.set_title("\n".join(wrap(picture.title, 80)), loc="left", fontsize=11, fontweight="bold", pad=10 + 11 * len(subtitle))
    axes.annotate("\n".join(subtitle), (0, 1), (0, 7), "axes fraction", "offset points", fontsize=8, color=SOFT_INK)
    # Outside: within the axes it could hide a trial.
    figure.legend(handles=_legend(picture), loc="outside lower right", ncols=5, frameon=False, fontsize=8)


def _legend(picture: Picture) -> list[Line2D]:
    def disc(words: str, size: float, **look: Any) -> Line2D:
        return Line2D([], [], linestyle="none", marker="o", markersize=size, label=words, **look)

    (front, others), shown = picture.names, picture.front
    kinds = [
        disc(f"{front} ({len(shown)}), with trial numbers", 7, markerfacecolor="none", markeredgecolor=INK, markeredgewidth=1.6),
        disc(f"{others} ({len(picture.dominated)})", 5, color=DOMINATED, alpha=0.7),
    ]
    return kinds + [disc(words, 6, color=LIGHT[color]) for color, words in key(picture.methods)]


def _label_front(axes: Axes, picture: Picture) -> None:
    """Write trial numbers above and left of the front, where no trial can stand; leave out a label that would touch another."""
    kept: list[Annotation] = []
    for point in _ends_first(picture.front):
        label = axes.annotate(
            f"#{point.trial}", (point.x, point.y), (-3, 4), textcoords="offset points", ha="right", fontsize=8, color=FRONT
        )
        box = label.get_window_extent().expanded(1.1, 1.1)
        if any(box.overlaps(other.get_window_extent()) for other in kept):
            label.remove()
        else:
            kept.append(label)


def _ends_first(front: tuple[Point, ...]) -> tuple[Point, ...]:
    """Return the cheapest and the best trial before those between: if labels must go, theirs stay."""
    ordered = sorted(front, key=lambda point: point.x)
    return (ordered[-1], *ordered[:-1])
