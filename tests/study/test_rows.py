import json

import pytest

from autopeft.study.rows import finite, json_lines


def test_what_is_not_finite_is_null_at_any_depth() -> None:
    row = {"a": float("nan"), "b": [1.0, float("inf")], "c": {"d": (-float("inf"), "x", None)}, "e": 2}
    assert finite(row) == {"a": None, "b": [1.0, None], "c": {"d": (None, "x", None)}, "e": 2}
    (line,) = json_lines([row]).decode().splitlines()
    assert json.loads(line, parse_constant=pytest.fail) == {"a": None, "b": [1.0, None], "c": {"d": [None, "x", None]}, "e": 2}
