"""Names of points: where they stand, and which go without."""

from dataclasses import replace
from itertools import combinations
from xml.etree.ElementTree import Element

import numpy as np
import pytest

from autopeft.report.axis import CostAxis
from autopeft.report.drawings import front
from autopeft.report.names import NAME_HEIGHT, NAME_WIDTH
from autopeft.report.picture import Picture, Point
from autopeft.report.references import Reference

Box = tuple[float, float, float, float]


def drawn(places: list[tuple[float, float]], width: float) -> Element:
    return front(picture_of(places), width)


def picture_of(places: list[tuple[float, float]]) -> Picture:
    axis = CostAxis.over([100, 100_000], None, "head only")
    points = tuple(Point(10 + index, axis.position(cost), score, ("",)) for index, (cost, score) in enumerate(places))
    stairs = tuple((point.x, point.y) for point in points)
    return Picture("", "", "", "", axis, (0.0, 1.0), points, (), ("front", "others"), stairs)


def names(picture: Element) -> dict[str, Box]:
    """Left, right, top and bottom of each name."""
    found = {}
    for one in picture.iter():
        if one.get("class") == "label front":
            x, y, words = float(one.attrib["x"]), float(one.attrib["y"]), "".join(one.itertext())
            found[words] = x - NAME_WIDTH * len(words), x, y - NAME_HEIGHT, y
    return found


def circles(picture: Element) -> list[Box]:
    each = [[float(one.attrib[name]) for name in ("cx", "cy", "r")] for one in picture.iter() if one.get("class") == "front"]
    return [(x - r, x + r, y - r, y + r) for x, y, r in each]


def overlap(one: Box, other: Box) -> bool:
    return one[0] < other[1] and other[0] < one[1] and one[2] < other[3] and other[2] < one[3]


def test_a_name_gives_way_to_the_mark_of_a_neighbour() -> None:
    picture = drawn([(100, 0.30), (150, 0.33), (9_000, 0.9)], 390.0)
    assert names(picture).keys() == {"#10", "#11", "#12"}


@pytest.mark.parametrize("seed", range(20))
def test_no_name_touches_another_name_or_a_mark(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 25))
    picture = drawn(list(zip(10 ** rng.uniform(2, 5, n), rng.uniform(0, 1, n), strict=True)), float(rng.choice([390, 700])))
    found = names(picture)
    assert found
    assert not any(overlap(one, other) for one, other in combinations(found.values(), 2))
    assert not any(overlap(one, mark) for one in found.values() for mark in circles(picture))


def test_where_places_are_too_close_the_rightmost_and_the_leftmost_keep_their_names() -> None:
    places = [(1_000 + 10 * index, 0.5) for index in range(12)]
    assert {"#10", "#21"} <= names(drawn(places, 390.0)).keys()
    assert len(names(drawn(places, 390.0))) < 12


def test_the_name_of_a_line_rather_covers_marks_without_names_than_one_with() -> None:
    picture = picture_of([(150, 0.5)])
    others = tuple(replace(picture.front[0], trial=trial, x=picture.axis.position(cost)) for trial, cost in [(1, 50_000), (2, 90_000)])
    found = front(replace(picture, dominated=others, references=(Reference("one answer for all", 0.5),)), 1000.0)
    (line,) = [one for one in found.iter() if one.get("class") == "label baseline"]
    assert line.get("text-anchor") == "end"
    (left, *_) = names(found).values()
    assert left[1] < 500
