"""Marks that say which methods a trial is made of: a disc with a slice a method, each in the method's colour."""

import math
from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element

from autopeft.report.formatting import in_words
from autopeft.report.markup import element
from autopeft.report.palette import N_METHODS
from autopeft.words import plural


def colors(methods: Iterable[str]) -> dict[str, str]:
    """Return the class of a colour for each of the first methods; all others share one. A page's style says which colour."""
    return {method: f"m{min(place, N_METHODS)}" for place, method in enumerate(methods)}


def key(methods: Sequence[str]) -> list[tuple[str, str]]:
    """Return what each colour stands for: its class, with the method's name in words or how many methods share it."""
    color, n_others = colors(methods), len(methods[N_METHODS:])
    others = [(color[methods[-1]], plural(n_others, "other method"))] if n_others else []
    return [(color[name], in_words(name)) for name in methods[:N_METHODS]] + others


def slices(n: int) -> list[tuple[float, float]]:
    """Return where each of n slices of a disc begins and ends, as shares of the whole turn."""
    return [(index / n, (index + 1) / n) for index in range(n)]


def mark(x: float, y: float, radius: float, fills: Sequence[str]) -> list[Element]:
    """Return a disc at a place: empty where the head alone is trained, sliced where there are several methods.

    Args:
        x: From the left.
        y: From the top.
        radius: In pixels.
        fills: The class of each method's colour.
    """
    disc = {"cx": x, "cy": y, "r": radius}
    if not fills:
        return [element("circle", **disc, class_="disc empty")]
    if len(fills) == 1:
        return [element("circle", **disc, class_=f"disc {fills[0]}")]
    drawn = [_slice(x, y, radius, *ends, fill) for ends, fill in zip(slices(len(fills)), fills, strict=True)]
    return [*drawn, element("circle", **disc, class_="disc ring")]


def _slice(x: float, y: float, radius: float, begin: float, end: float, fill: str) -> Element:
    """Return a slice between two shares of the whole turn, clockwise from the top."""
    (x1, y1), (x2, y2) = ((x + radius * math.sin(2 * math.pi * at), y - radius * math.cos(2 * math.pi * at)) for at in (begin, end))
    is_large = int(end - begin > 0.5)
    path = f"M{x:.1f},{y:.1f} L{x1:.1f},{y1:.1f} A{radius:g},{radius:g} 0 {is_large} 1 {x2:.1f},{y2:.1f} Z"
    return element("path", d=path, class_=fill)
