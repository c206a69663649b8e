"""What trained configurations say of the portfolio: of its learning rates, and of how its entries did at low cost and at full budget.

    python benchmarks/portfolio.py

The tables hold random configurations and those of searches (curves.py, gather.py), and configurations of TREC at both budgets, in
`tables/trec_two_budgets.jsonl`. The best sixth of each size, of eight sizes or more, is compared with the portfolio's rule.
"""

import json
import math
from pathlib import Path
from statistics import median
from typing import Any

from autopeft.portfolio.entries import entries

TABLES = Path(__file__).parent / "tables"
PLAIN_RATE = 0.002
"""Of the rule at its own number of parameters; the entries' own differ by up to a factor of 1.5."""
MIN_SIZES, BEST_SHARE = 8, 6


def rows(name: str) -> list[dict[str, Any]]:
    """Return a table's rows of trained configurations, by rising number of parameters."""
    found = [json.loads(line) for line in (TABLES / f"{name}.jsonl").read_text().splitlines()]
    return sorted((row for row in found if row.get("curve") and row["trainable_parameters"]), key=lambda row: row["trainable_parameters"])


def factors(name: str) -> list[float]:
    """Return, of the best of each size, the learning rate over the rule's."""
    found, rule = rows(name), entries()[0].rule
    size = max(MIN_SIZES, len(found) // MIN_SIZES)
    result: list[float] = []
    for first in range(0, len(found), size):
        group = sorted(found[first : first + size], key=lambda row: -row["curve"][-1]["average_precision"])
        best = group[: max(2, len(group) // BEST_SHARE)]
        result += [row["configuration"]["training"]["learning_rate"] / rule(PLAIN_RATE, row["trainable_parameters"]) for row in best]
    return result


def main() -> None:
    """Print both."""
    for name in ("mrpc", "mrpc_searches", "sst2"):
        found = factors(name)
        near = sum(abs(math.log2(one)) <= 1 for one in found) / len(found)
        print(f"{name:<14} learning rate over the rule's: median {median(found):.2f} of {len(found)}, {near:.0%} within a factor of two")
    print("\ntrec           parameters  learning rate  accuracy: low cost  full budget")
    for row in map(json.loads, (TABLES / "trec_two_budgets.jsonl").read_text().splitlines()):
        low, full = (row[budget]["metrics"]["accuracy"] for budget in ("low", "full"))
        rate = row["configuration"]["training"]["learning_rate"]
        print(f"{row['name']:<14} {row['params']:>10,}  {rate:>13.2g}  {low:>18.3f}  {full:>11.3f}")


if __name__ == "__main__":
    main()
