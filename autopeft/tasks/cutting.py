"""Cuts validation and test examples from the training data: each class by its share, and equal examples all on one side."""

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from autopeft.errors import InvalidInputError
from autopeft.tasks.entry import Role
from autopeft.tasks.task import Split

CUT_FRACTION = 0.1
"""Share of the training data that serves as a missing split."""
CUT_LIMIT = 5000
"""Largest split that is cut: it gives accuracy a standard error below 0.7 points, and more would only cost time."""
CUT_SEED = 0
"""A cut belongs to the data: it must not move with the seed of a search."""


def cut(whole: Split, strata: NDArray[np.int64], roles: Sequence[Role], source: str) -> tuple[Split, dict[Role, Split]]:
    """Return what is left of a split, in its order, and one cut of it per role, each a tenth of the whole.

    Args:
        whole: n examples.
        strata: n numbers; each cut has about the same share of every number, and at least one example of each is left.
        roles: What the cuts are for; the first one's is the same whatever follows.
        source: What to name where there are too few examples.

    Raises:
        InvalidInputError: There are too few examples.
    """
    needed = 2 + len(roles)
    if len(whole) < needed:
        remedy = f"One row each is cut for {' and '.join(roles)}." if roles else "Add examples."
        raise InvalidInputError(f"{source} must have at least {needed} rows", value=len(whole), remedy=remedy)
    size = min(max(1, int(len(whole) * CUT_FRACTION)), CUT_LIMIT)
    free = _shuffled_groups(whole, needed)
    counts = {stratum: int(np.sum(strata == stratum)) for stratum in dict.fromkeys(strata.tolist())}
    cuts = {}
    for role in roles:
        rows, free = _taken(free, strata, _quotas(counts, size), size)
        cuts[role] = whole.take(rows)
    rest = np.sort(np.array([row for group in free for row in group], dtype=np.int64))
    return whole.take(rest), cuts


def _shuffled_groups(whole: Split, needed: int) -> list[list[int]]:
    """Return the rows of examples with equal inputs, one group for each, in an order drawn by a fixed seed.

    Where there are fewer different inputs than needed each row is a group: such data say nothing anyway, and that there are
    examples on both sides is said with what else is wrong with them.
    """
    groups: dict[Hashable, list[int]] = {}
    for row, key in enumerate(whole.keys()):
        groups.setdefault(key, []).append(row)
    found = list(groups.values()) if len(groups) >= needed else [[row] for row in range(len(whole))]
    # RandomState's stream is frozen, those of the newer generators are not.
    return [found[index] for index in np.random.RandomState(CUT_SEED).permutation(len(found))]


def _quotas(counts: Mapping[int, int], size: int) -> dict[int, int]:
    """Return how many of `size` examples to take of each stratum: its share, rounded so that they add up."""
    total = sum(counts.values())
    exact = {stratum: size * count / total for stratum, count in counts.items()}
    quotas = {stratum: int(share) for stratum, share in exact.items()}
    by_remainder = sorted(exact, key=lambda stratum: quotas[stratum] - exact[stratum])
    for stratum in by_remainder[: size - sum(quotas.values())]:
        quotas[stratum] += 1
    return quotas


def _taken(
    groups: Sequence[list[int]], strata: NDArray[np.int64], quotas: Mapping[int, int], size: int
) -> tuple[list[int], list[list[int]]]:
    """Return the rows of as many groups as the quotas ask for, and the other groups. The last group of a stratum stays."""
    left = dict(quotas)
    n_groups: dict[int, int] = {}
    for group in groups:
        n_groups[int(strata[group[0]])] = n_groups.get(int(strata[group[0]]), 0) + 1
    rows: list[int] = []
    others = []
    for group in groups:
        stratum = int(strata[group[0]])
        if left[stratum] > 0 and n_groups[stratum] > 1 and len(rows) < size:
            rows += group
            left[stratum] -= len(group)
            n_groups[stratum] -= 1
        else:
            others.append(group)
    if not rows:  # every stratum has a single group: take the one that costs least
        smallest = min(range(len(others)), key=lambda place: len(others[place]))
        rows = others.pop(smallest)
    return rows, others
