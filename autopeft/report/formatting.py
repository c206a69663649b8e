"""How numbers and names are written, the same in every table and plot."""

import math
from collections.abc import Sequence

from autopeft.objectives import Objective


def count(value: int | None) -> str:
    """Write a count with thousands separators; "-" if unknown."""
    return "-" if value is None else f"{value:,}"


def short_number(value: float) -> str:
    """Write a number for the tick of an axis: "0.02", "500", "20k", "3M"."""
    for size, suffix in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= size:
            return f"{value / size:g}{suffix}"
    return f"{value:g}"


def percentage(part: float | None, whole: int | None) -> str:
    """Write a share in percent with two significant digits; "-" if either is unknown."""
    if part is None or not whole:
        return "-"
    percent = 100 * part / whole
    return f"{percent:.0f}%" if percent >= 10 else f"{percent:.2g}%"


def score(value: float | None) -> str:
    """Write a metric to four decimals, which keeps apart what 10,000 examples can tell apart; "-" if there is none."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.4f}"


def seconds(value: float | None) -> str:
    """Write seconds to a tenth; "-" if unknown."""
    return "-" if value is None else f"{value:,.1f}"


def in_unit(value: float | None, objective: Objective) -> str:
    """Write a cost in its unit to four significant digits; whole units whole; "-" if there is none."""
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value:,.4g}" if objective.unit == "seconds" else f"{value:,.0f}"


def duration(value: float | None) -> str:
    """Write seconds in units that people think in: "0.42 s", "12.3 s", "4 min 5 s", "2 h 10 min"; "-" if unknown."""
    if value is None:
        return "-"
    if value < 60:
        return f"{value:.2f} s" if value < 1 else f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours:,} h {minutes_left} min" if hours else f"{minutes} min {rest} s"


def megabytes(value: float | None) -> str:
    """Write bytes in megabytes of 10^6; "-" if unknown."""
    return "-" if value is None else f"{value / 1e6:,.0f} MB"


def listed(names: Sequence[str], last: str) -> str:
    """Write one name or more, the last after a word such as "and"."""
    *first, final = names
    return f"{', '.join(first)} {last} {final}" if first else final


def in_words(name: str) -> str:
    """Write a name as people say it: "trainable parameters"."""
    return one_line(name.replace("_", " "))


def better(objective: Objective) -> str:
    """Say which way is better: "higher" or "lower"."""
    return "higher" if objective.direction == "maximize" else "lower"


def one_line(text: str) -> str:
    """Return text that stays on its line and can't steer the terminal, whoever wrote it."""
    return "".join(character if character.isprintable() else " " for character in " ".join(text.split()))
