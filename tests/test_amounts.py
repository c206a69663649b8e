import pytest

from autopeft.amounts import parse_amount, percentages
from autopeft.errors import InvalidInputError


@pytest.mark.parametrize(
    ("text", "number"),
    [("200000", 200_000), ("200k", 200_000), ("1.5M", 1_500_000), ("2 g", 2e9), ("1e5", 1e5), ("2.5e-1", 0.25), ("0.5%", 500), (".5", 0.5)],
)
def test_amounts(text: str, number: float) -> None:
    assert parse_amount("--max", text, whole=100_000) == pytest.approx(number)


@pytest.mark.parametrize("text", ["", "0", "0%", "-1", "many", "1kk", "1T", "nan", "inf", "1e500", "1,000", "9" * 400])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match=r"--max must be a number above 0, such as 200k, 1\.5M or 0\.5%"):
        parse_amount("--max", text, whole=100_000)


def test_a_percentage_needs_a_whole() -> None:
    with pytest.raises(InvalidInputError, match=r"such as 200k, 1\.5M \(got '5%'"):
        parse_amount("--max", "5%")


@pytest.mark.parametrize(
    ("counts", "written"),
    [
        ([336, 336, 328], ["33%", "33%", "33%"]),  # each rounded to the nearest they would add up to 101
        ([338, 336, 326], ["34%", "34%", "32%"]),
        ([1, 1, 1], ["33%", "33%", "33%"]),
        ([145, 145, 710], ["14%", "14%", "71%"]),
        ([998, 2], [">99%", "<1%"]),
        ([7, 0], ["100%", "0%"]),
    ],
)
def test_percentages_never_add_up_to_more_than_a_hundred(counts: list[int], written: list[str]) -> None:
    assert percentages(counts) == written
