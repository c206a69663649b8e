"""Which interval for a test metric's mean holds the truth: over seeds alone, a hierarchical bootstrap, or both errors put together.

Each simulated test row has a difficulty, each seed a skill; a seed is right on a row with probability sigmoid(difficulty + skill). The
truth is the accuracy over all rows and seeds there could be. Rows and seeds are drawn anew many times, an interval is made of each draw,
and it is counted how many hold the truth, and how wide they are.

    python benchmarks/intervals.py
"""

import math

import numpy as np
from numpy.typing import NDArray

from autopeft.inference import CONFIDENCE, estimate

N_SIMULATIONS = 300
N_RESAMPLED = 200
Floats = NDArray[np.float64]


def sigmoid(values: Floats) -> Floats:
    return 1 / (1 + np.exp(-values))


def truth(difficulty: float, center: float, skill: float) -> float:
    """Return the accuracy over all rows and seeds."""
    rng = np.random.default_rng(0)
    return float(sigmoid(center + difficulty * rng.standard_normal(2_000_000) + skill * rng.standard_normal(2_000_000)).mean())


def draw(rng: np.random.Generator, n_seeds: int, n_rows: int, difficulty: float, center: float, skill: float) -> Floats:
    """Return which rows each seed has right: n_seeds x n_rows."""
    chances = sigmoid(center + difficulty * rng.standard_normal(n_rows) + skill * rng.standard_normal((n_seeds, 1)))
    return (rng.random(chances.shape) < chances).astype(np.float64)


def over_seeds(right: Floats, _: np.random.Generator) -> tuple[float, float]:
    """What was reported before: Student's interval over seeds."""
    found = estimate([float(value) for value in right.mean(axis=1)])
    return found.low, found.high


def hierarchical(right: Floats, rng: np.random.Generator) -> tuple[float, float]:
    """Percentiles of the mean over seeds and rows that are both drawn with replacement."""
    n_seeds, n_rows = right.shape
    rows = rng.integers(n_rows, size=(N_RESAMPLED, n_rows))
    each = right[:, rows].mean(axis=2)  # seeds x resamples
    chosen = rng.integers(n_seeds, size=(5 * N_RESAMPLED, n_seeds))
    means = each[chosen, np.repeat(np.arange(N_RESAMPLED), 5)[:, None]].mean(axis=1)
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def together(right: Floats, rng: np.random.Generator) -> tuple[float, float]:
    """The variance over seeds, and that over rows drawn with replacement of the mean over seeds, added up."""
    n_rows = right.shape[1]
    rows = rng.integers(n_rows, size=(N_RESAMPLED, n_rows))
    resampled = right[:, rows].mean(axis=2)
    found = estimate([float(value) for value in right.mean(axis=1)], resampled=resampled.tolist(), n_rows=n_rows, bounds=(0.0, 1.0))
    return found.low, found.high


def main() -> None:
    """Print coverage and width of each, by numbers of seeds and rows and by how much seeds differ."""
    print("seeds  rows  skill   " + "   ".join(f"{one.__name__:>16}" for one in (over_seeds, hierarchical, together)))
    for center in (1.5, 6.0):  # 0.75 and nearly all are right
        for skill in (0.0, 0.1, 0.3) if center < 2 else (0.1,):
            exact = truth(1.5, center, skill)
            for n_seeds in (1, 2, 3, 5):
                for n_rows in (40, 400, 1500):
                    rng = np.random.default_rng(1)
                    cells = []
                    for interval in (over_seeds, hierarchical, together):
                        found = np.array([interval(draw(rng, n_seeds, n_rows, 1.5, center, skill), rng) for _ in range(N_SIMULATIONS)])
                        if math.isnan(found[0, 0]):
                            cells.append(f"{'-':>16}")
                        else:
                            held = np.mean((found[:, 0] <= exact) & (exact <= found[:, 1]))
                            cells.append(f"{held:8.3f} {np.mean(found[:, 1] - found[:, 0]):7.3f}")
                    print(f"{n_seeds:5} {n_rows:5}  {skill:5}   " + "   ".join(cells), flush=True)


if __name__ == "__main__":
    main()
