import math

import pytest

from autopeft.report import formatting


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (500, "500"), (0.002, "0.002"), (1000, "1k"), (1500, "1.5k"), (200_000, "200k"), (3_000_000, "3M"), (10**9, "1G")],
)
def test_ticks_are_short(value, text):
    assert formatting.short_number(value) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"), [(0, 100, "0%"), (1, 3, "33%"), (54, 100_000, "0.054%"), (250, 100, "250%"), (None, 9, "-"), (1, None, "-")]
)
def test_percentages_keep_two_digits(part, whole, text):
    assert formatting.percentage(part, whole) == text


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_a_missing_score_is_a_dash(value):
    assert formatting.score(value) == "-"


def test_what_others_wrote_stays_on_its_line_and_cannot_steer_a_terminal():
    assert formatting.one_line("a\n b\t\x1b[2Jc\u202e") == "a b  [2Jc "


def test_names_are_listed_with_a_word_before_the_last() -> None:
    assert [formatting.listed(names, "or") for names in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a or b", "a, b or c"]
