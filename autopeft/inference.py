"""What a few repetitions on some test rows tell: a mean with its interval, and whether two means differ.

| symbol | meaning |
|---|---|
| x | S values of one quantity, one per seed |
| m, s | mean and standard deviation of x, the latter with S - 1 |
| r | standard deviation of m over other test rows, from rows drawn with replacement (Efron, 1979) |
| t | quantile of Student's distribution |

Other seeds would give another mean, and so would other test rows. The seeds' share of the variance of m is s^2 / S, the rows' share r^2.
The interval is m ± t(f) sqrt(s^2 / S + r^2) with f = (s^2 / S + r^2)^2 (S - 1) / (s^2 / S)^2 degrees of freedom (Satterthwaite, 1946):
where rows matter more than seeds, few seeds are no reason for a wide interval. In simulations (benchmarks/intervals.py) 0.92 to 0.99 of
these intervals hold the truth from three seeds on, where 0.95 should; of Student's over seeds alone 0.80 to 0.98, of a bootstrap of both
0.81 to 1.00.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95
"""Share of intervals that hold the true mean, if values are normally distributed."""
FEW_SEEDS = 3
"""With fewer the spread over seeds is not known well enough for an interval to be trusted."""


@dataclass(frozen=True)
class Estimate:
    """A quantity that was measured S times."""

    values: tuple[float, ...]
    mean: float
    deviation: float
    """Standard deviation over seeds; NaN of one value."""
    low: float
    """Lower end of the interval for the mean; NaN where neither seeds nor rows tell how sure it is."""
    high: float
    """Upper end."""

    @property
    def has_few_seeds(self) -> bool:
        """Whether there are too few values to know how much seeds differ."""
        return len(self.values) < FEW_SEEDS


def estimate(
    values: Sequence[float],
    *,
    resampled: Sequence[Sequence[float]] = (),
    n_rows: int | None = None,
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> Estimate:
    """Return mean, standard deviation and the interval for the mean.

    Args:
        values: x, at least one.
        resampled: S x B: the same quantity per seed on rows drawn with replacement B times, the same draws for every seed. Where it isn't
            there, as of what was trained by an earlier version, the rows' share is that of a mean of as many zeros and ones.
        n_rows: How many rows there are; None: rows have no share, as where the quantity is no metric.
        bounds: The least and the largest value that the quantity can have. The interval is cut there.
    """
    n, mean = len(values), math.fsum(values) / len(values)
    deviation = math.nan if n == 1 else math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    over_seeds = 0.0 if n == 1 else deviation**2 / n
    over_rows = variance_over_rows(mean, n_rows, bounds, resampled)
    variance = over_seeds + over_rows
    if (n == 1 and n_rows is None) or math.isnan(variance):
        return Estimate(tuple(values), mean, deviation, math.nan, math.nan)
    reach = _quantile(variance**2 * (n - 1) / over_seeds**2 if over_seeds else math.inf) * math.sqrt(variance)
    return Estimate(tuple(values), mean, deviation, max(bounds[0], mean - reach), min(bounds[1], mean + reach))


def difference(
    one: Sequence[float], other: Sequence[float], resampled: tuple[Sequence[Sequence[float]], Sequence[Sequence[float]]]
) -> tuple[float, float]:
    """Return the interval for the difference of two means, first less second, over other seeds and other rows.

    Both were measured on the same rows, so what a draw of rows does to both cancels out. The degrees of freedom are those of Welch (1947)
    with a share for the rows that has infinitely many.

    Args:
        one: x of the first, at least one value.
        other: x of the second.
        resampled: As in `estimate`, of the first and of the second, on the same draws.

    Returns:
        NaN where there are no draws, or fewer than two seeds on a side.
    """
    sides = [estimate(one), estimate(other)]
    if not (resampled[0] and resampled[1]) or min(len(one), len(other)) < 2:
        return math.nan, math.nan
    seeds = [side.deviation**2 / len(side.values) for side in sides]
    means = [np.mean(np.asarray(draws), axis=0) for draws in resampled]
    variance = sum(seeds) + float(np.var(means[0] - means[1], ddof=1))
    if not variance:
        return math.nan, math.nan
    spent = sum(share**2 / (len(side.values) - 1) for share, side in zip(seeds, sides, strict=True))
    reach = _quantile(variance**2 / spent if spent else math.inf) * math.sqrt(variance)
    middle = sides[0].mean - sides[1].mean
    return middle - reach, middle + reach


def variance_over_rows(mean: float, n_rows: int | None, bounds: tuple[float, float], resampled: Sequence[Sequence[float]] = ()) -> float:
    """Return r^2; 0 where it isn't known how many rows there are, or what bounds the metric; arguments as in `estimate`.

    Where no draw differs, as of a model that has every row right, or where there are none, it is that of a share with two more hits and two
    more misses (Agresti and Coull, 1998): n rows without a mistake don't mean that there are none. An error rate without an upper bound
    counts as a share then.
    """
    if n_rows is None:
        return 0.0
    found = float(np.var(np.mean(np.asarray(resampled), axis=0), ddof=1)) if len(resampled) else 0.0
    low, high = bounds
    if len(resampled) and high == math.inf:
        high = max(low + 1, mean)
    if found or not (math.isfinite(high - low) and low <= mean <= high):
        return found
    share = ((mean - low) / (high - low) * n_rows + 2) / (n_rows + 4)
    return share * (1 - share) / (n_rows + 4) * (high - low) ** 2


def _quantile(degrees: float) -> float:
    """Return the quantile of Student's distribution, of the normal one for infinitely many degrees of freedom."""
    from scipy import stats  # it takes a second to load, which whoever reads a run must not wait for

    return float(stats.t.ppf((1 + CONFIDENCE) / 2, degrees))


def welch(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the two-sided p value of Welch's t-test (1947) that two means are equal; the variances may differ.

    NaN where a test is not possible: fewer than two values on a side, or no variance on either.
    """
    from scipy import stats

    if min(len(one), len(other)) < 2 or len({*one}) == len({*other}) == 1:
        return math.nan
    # From the moments: given the values, scipy warns where those of one side are equal, which is no trouble here.
    sides = [(found.mean, found.deviation, len(found.values)) for found in (estimate(one), estimate(other))]
    return float(stats.ttest_ind_from_stats(*sides[0], *sides[1], equal_var=False).pvalue)


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """Return Spearman's rank correlation (1904) of two quantities and its two-sided p value; neither may be constant."""
    from scipy import stats

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
