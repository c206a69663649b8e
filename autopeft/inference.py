"""What a few repetitions tell: a mean with its interval, and whether two means differ.

| symbol | meaning |
|---|---|
| x | n values of one quantity, one per seed |
| m, s | mean and standard deviation of x, the latter with n - 1 |
| t | quantile of Student's distribution |
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

CONFIDENCE = 0.95
"""Share of intervals that hold the true mean, if values are normally distributed."""


@dataclass(frozen=True)
class Estimate:
    """A quantity that was measured n times."""

    values: tuple[float, ...]
    mean: float
    deviation: float
    """Standard deviation; NaN of one value."""
    low: float
    """Lower end of the interval for the mean; NaN of one value."""
    high: float
    """Upper end."""


def estimate(values: Sequence[float]) -> Estimate:
    """Return mean, standard deviation and the interval m ± t(n - 1) s / √n of at least one value."""
    n, mean = len(values), math.fsum(values) / len(values)
    if n == 1:
        return Estimate(tuple(values), mean, math.nan, math.nan, math.nan)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * deviation / math.sqrt(n)
    return Estimate(tuple(values), mean, deviation, mean - reach, mean + reach)


def welch(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the two-sided p value of Welch's t-test (1947) that two means are equal; the variances may differ.

    NaN where a test is not possible: fewer than two values on a side, or no variance on either.
    """
    if min(len(one), len(other)) < 2 or len({*one}) == len({*other}) == 1:
        return math.nan
    # From the moments: given the values, scipy warns where those of one side are equal, which is no trouble here.
    sides = [(found.mean, found.deviation, len(found.values)) for found in (estimate(one), estimate(other))]
    return float(stats.ttest_ind_from_stats(*sides[0], *sides[1], equal_var=False).pvalue)


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """Return Spearman's rank correlation (1904) of two quantities and its two-sided p value; neither may be constant."""
    found = stats.spearmanr(one, other)
    return float(found.statistic), float(found.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values corrected for their number (Holm, 1979): the k-th smallest of m times m - k + 1, never falling, at most 1.

    A NaN, of a test that was not possible, stays one and doesn't count.
    """
    possible = sorted((p, index) for index, p in enumerate(p_values) if not math.isnan(p))
    corrected, largest = list(p_values), 0.0
    for rank, (p, index) in enumerate(possible):
        largest = max(largest, min(1.0, p * (len(possible) - rank)))
        corrected[index] = largest
    return corrected
