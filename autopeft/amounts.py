"""Numbers as people write them: 200k, 1.5M, 0.5%."""

import re
from collections import Counter
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
    """Write counts as whole per cents of their sum that don't add up to more than 100, equal ones alike.

    Those with the largest remainders are rounded up, as many as there is room for (Hamilton's method).
    """
    total = sum(counts)
    left = 100 - sum(100 * count // total for count in counts)
    written = {}
    for count, n in sorted(Counter(counts).items(), key=lambda entry: -(100 * entry[0] % total)):
        left -= n
        share = 100 * count // total + (left >= 0)
        written[count] = "<1%" if count and not share else ">99%" if share == 100 and count < total else f"{share}%"
    return [written[count] for count in counts]
