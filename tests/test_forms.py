"""What JSON files must hold: a value of another type is named by its place."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import pytest

from autopeft.errors import InvalidInputError
from autopeft.forms import misfit, read_json


@dataclass(frozen=True)
class Point:
    x: float
    name: str = ""


class Form(TypedDict):
    n: Annotated[int, 1]
    points: list[Point]
    direction: NotRequired[Literal["up", "down"]]
    scores: NotRequired[Mapping[str, float | None]]


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ({"n": 1, "points": []}, ""),
        ({"n": 2, "points": [{"x": 1}], "direction": "up", "scores": {"a": None, "b": 0.5}, "more": {}}, ""),
        ({"n": 2, "points": [Point(0.5)]}, ""),
        ([], "its content must be an object, and is a list"),
        ({"points": []}, "n is missing"),
        ({"n": True, "points": []}, "n must be a whole number, and is True"),
        ({"n": 0, "points": []}, "n must be 1 or more, and is 0"),
        ({"n": 1, "points": {}}, "points must be a list, and is an object"),
        ({"n": 1, "points": [{"x": 0}, {"x": "0"}]}, "points[1].x must be a finite number, and is '0'"),
        ({"n": 1, "points": [{"x": float("nan")}]}, "points[0].x must be a finite number, and is nan"),
        ({"n": 1, "points": [{"x": 10**400}]}, "points[0].x must be a finite number"),
        ({"n": 1, "points": [{}]}, "points[0].x is missing"),
        ({"n": 1, "points": [{"x": 0, "y": 0}]}, "points[0].y is unknown"),
        ({"n": 1, "points": [Point("1")]}, "points[0].x must be a finite number, and is '1'"),  # type: ignore[arg-type]
        ({"n": 1, "points": [], "direction": "left"}, "direction must be one of up, down, and is 'left'"),
        ({"n": 1, "points": [], "scores": {"a": []}}, "scores.a must be a number or null, and is a list"),
    ],
)
def test_what_differs_is_named_by_its_place(value: Any, wrong: str) -> None:
    found = misfit(value, Form)
    assert found.startswith(wrong)
    assert bool(found) == bool(wrong)


def test_nulls_stand_for_what_is_not_finite_where_files_are_written_so() -> None:
    assert misfit({"x": None}, Point)
    assert not misfit({"x": None}, Point, nulls=True)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [("{", "Expecting"), ('{"a": NaN}', "JSON has no NaN"), ("[" * 100_000, "recursion"), ('{"a": "b"}', "a must be a number, and is 'b'")],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, text: str, wrong: str) -> None:
    path = tmp_path / "file.json"
    path.write_text(text)
    with pytest.raises(InvalidInputError, match=r"file\.json can't be read: .*" + wrong):
        read_json(path, dict[str, float], constants=False)
    path.write_text(json.dumps({"a": 1}))
    assert read_json(path, dict[str, float]) == {"a": 1}
