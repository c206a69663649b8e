"""Numbers as people write them: 200k, 1.5M, 0.5%."""

import math
import re
from collections.abc import Sequence

from autopeft.errors import InvalidInputError

LARGEST = 1e100
"""More is no amount, and comes near the largest float."""
_FACTORS = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}


def parse_amount(name: str, text: str, whole: float | None = None) -> float:
    """Return the number that a text stands for: k, M and G, in either case, are thousands, millions and milliards.

    Args:
        name: What the number is for, such as "--max-params".
        text: What was written.
        whole: What a percentage refers to; None: there are no percentages.

    Raises:
        InvalidInputError: It is no such number, or not above 0.
    """
    found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)(?:[eE]([+-]?\d{1,2}))?\s*([kKmMgG%]?)", text.strip())
    if found is None or (found[3] == "%" and whole is None) or not 0 < float(found[1]) < LARGEST:
        example = "200k, 1.5M" + ("" if whole is None else " or 0.5%")
        raise InvalidInputError(f"{name} must be a number above 0, such as {example}", value=text)
    number = float(found[1]) * 10.0 ** int(found[2] or 0)
    return number / 100 * whole if found[3] == "%" and whole is not None else number * _FACTORS[found[3].lower()]


def percentages(counts: Sequence[int]) -> list[str]:
    """Write counts as whole per cents of their sum, which add up to 100 where none is too small for one.

    Those with the largest remainders are rounded up, whatever is nearer (Hamilton's method): three equal parts are 34%, 33% and 33%.
    """
    total = sum(counts)
    exact = [100 * count / total for count in counts]
    whole = [math.floor(share) for share in exact]
    by_remainder = sorted(range(len(counts)), key=lambda place: whole[place] - exact[place])
    for place in by_remainder[: 100 - sum(whole)]:
        whole[place] += 1
    return [
        "<1%" if count and not share else ">99%" if share == 100 and count < total else f"{share}%"
        for count, share in zip(counts, whole, strict=True)
    ]
