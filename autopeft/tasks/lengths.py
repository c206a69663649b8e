"""How long examples are, in words: of texts in tokens, of recordings in seconds."""

from collections.abc import Mapping, Sequence

import numpy as np

from autopeft.tasks.family import Family

MOST = 0.95
"""So large a share of the examples is no longer than what is said of most."""


def lengths_in_words(whole: Mapping[str, Sequence[int]], family: Family, max_length: int) -> list[str]:
    """Return a sentence on the lengths of training examples and on how many are cut, and of others one where some are.

    Args:
        whole: By role the positions of each example before it is cut, as in `Encoded.whole`.
        family: The kind of task.
        max_length: Tokens after which texts are cut.
    """
    found = []
    unit, size = family.length_unit
    limit = family.longest(max_length)
    for role, positions in whole.items():
        lengths = np.sort(np.asarray(positions)) / size
        n_long = int((np.asarray(positions) > limit).sum())
        too_long = f"{n_long:,} of {len(lengths):,} have more than {limit / size:,.4g} and {family.too_long}"
        if role == "training":
            middle, most = np.quantile(lengths, (0.5, MOST), method="inverted_cdf")
            spread = f"{lengths[0]:,.4g} to {lengths[-1]:,.4g} {unit}, half of them up to {middle:,.4g}, 95% up to {most:,.4g}"
            found.append(f"training examples have {spread}; {too_long if n_long else f'none has more than {limit / size:,.4g}'}")
        elif n_long:
            found.append(f"of {role} examples {too_long}")
    return found
