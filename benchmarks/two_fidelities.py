"""How well a search foretells what the full budget makes of its configurations, on fifteen trained at both budgets on TREC.

    python benchmarks/two_fidelities.py [--draws 30] [--json FILE]

Some configurations are taken to be confirmed, drawn at random; printed is the mean rank correlation (Spearman) of what is then expected of
the others with the accuracy that they had at the full budget, for several models. The surrogate of the low-cost accuracy is left out: its
mean is what was measured, for fifteen configurations are too few to smooth.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from autopeft.samplers.full_budget import COLLAPSED_SHARE
from autopeft.surrogates.two_fidelities import LowCost, TwoFidelities

TABLE = Path(__file__).parent / "tables" / "trec_two_budgets.jsonl"
SEED_DEVIATION = 0.013
"""Of accuracy, about, over seeds of one configuration."""
TRIVIAL = 0.22
"""The accuracy of one answer for all."""
N_LAYERS = 6
CONFIRMED = (0, 2, 4, 6, 10)

Array = NDArray[np.float64]


class Rows:
    """The table as arrays."""

    def __init__(self) -> None:
        rows = [json.loads(line) for line in TABLE.read_text().splitlines()]
        self.low, self.loss, self.full = (
            np.array([row[budget]["metrics"][name] for row in rows])
            for budget, name in (("low", "accuracy"), ("low", "loss"), ("full", "accuracy"))
        )
        layers = [
            {layer for module in row["configuration"]["modules"] for layer in module.get("layers") or range(N_LAYERS)} for row in rows
        ]
        self.size = np.log10([row["params"] for row in rows]) / 4
        self.layers = np.array([len(one) / N_LAYERS for one in layers])
        self.depth = np.array([np.mean(sorted(one)) / (N_LAYERS - 1) for one in layers])
        self.rate = np.array([(np.log10(row["configuration"]["training"]["learning_rate"]) + 4.5) / 2.5 for row in rows])
        self.collapsed = self.low < TRIVIAL + COLLAPSED_SHARE * (self.low.max() - TRIVIAL)


def expected(rows: Rows, confirmed: list[int], others: list[int], names: list[str], *, believes_collapsed: bool) -> Array:
    """Return what is expected of the others' accuracy at the full budget, up to its scale."""
    sound = np.ones(len(rows.low), dtype=bool) if believes_collapsed else ~rows.collapsed
    width = np.ptp(rows.low[sound])
    low, full = (rows.low.max() - rows.low) / width, (rows.low.max() - rows.full) / width
    low, deviation = np.where(sound, low, np.median(low[sound])), np.where(sound, 0.0, 0.5)
    early = np.log(np.where(sound, rows.loss, np.median(rows.loss[sound])))
    columns = {"early loss": (early - early.min()) / np.ptp(early)} | {
        name: getattr(rows, name) for name in ("size", "layers", "depth", "rate")
    }
    z = np.stack([columns[name] for name in names], axis=1) if names else np.zeros((len(low), 0))

    def at(some: list[int]) -> LowCost:
        return LowCost(low[some], deviation[some], z[some])

    return -TwoFidelities.fit(at(confirmed), full[confirmed], SEED_DEVIATION / width).predict(at(others))[0]


def correlation(rows: Rows, n_confirmed: int, draws: int, **how: Any) -> float:
    """Return the mean rank correlation over draws of the confirmed configurations."""
    rng, found = np.random.default_rng(0), []
    for _ in range(draws if n_confirmed else 1):
        order = rng.permutation(len(rows.low)).tolist()
        confirmed, others = order[:n_confirmed], order[n_confirmed:]
        found.append(spearmanr(expected(rows, confirmed, others, **how), rows.full[others])[0])
    return float(np.mean(found))


def main() -> None:
    """Print a line a model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=30)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows, lines = Rows(), []
    models = [
        ("low-cost accuracy as it is", ["size", "layers", "early loss"], True),
        ("no bias", [], False),
        ("bias by size", ["size"], False),
        ("bias by size, layers, early loss (ours)", ["size", "layers", "early loss"], False),
        ("bias by size, layers, depth, rate, early loss", ["size", "layers", "depth", "rate", "early loss"], False),
    ]
    print(f"{'model':48}" + "".join(f"{n:>6}" for n in CONFIRMED) + "  confirmed")
    for title, names, believes in models:
        found = [correlation(rows, n, given.draws, names=names, believes_collapsed=believes) for n in CONFIRMED]
        print(f"{title:48}" + "".join(f"{one:6.2f}" for one in found), flush=True)
        lines.append({"model": title, "confirmed": list(CONFIRMED), "spearman": found})
    if given.json:
        given.json.write_text(json.dumps(lines, indent=2) + "\n")


if __name__ == "__main__":
    main()
