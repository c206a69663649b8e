"""What another seed makes of a low-cost trial: configurations of a table (see curves.py) trained again, each with some new seeds.

    AUTOPEFT_DATA=... python benchmarks/seeds.py --task mrpc --configurations 12 --seeds 3 --out benchmarks/tables/mrpc_seeds.jsonl

They lie evenly in the table's order from the worst to the best. What the table measured chooses them and isn't counted, for the best of
many were lucky. One JSON line a training; a file that is there is gone on with. Printed are the standard deviation between seeds of one
configuration, pooled over all and over the better half (of k configurations and s seeds, k (s - 1) degrees of freedom; 95 % interval by
the chi-squared distribution), and that between the configurations' means. A configuration of which a training failed isn't counted.
"""

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from curves import make_runner, row
from numpy.typing import NDArray
from problems.tabulated import EARLY, METRIC, MRPC
from scipy.stats import chi2

from autopeft.configuration import Configuration
from autopeft.loops.planning import plan
from autopeft.request import SearchRequest
from autopeft.training.measurement import Assignment

Row = dict[str, Any]

FIRST_SEED = 10**6
"""Beyond the seeds of curves.py, which count configurations."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="mrpc")
    parser.add_argument("--tables", type=Path, nargs="+", default=MRPC)
    parser.add_argument("--configurations", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--train-examples", type=int, help="instead of the task's budget")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    rows = read(*given.tables)
    if given.seeds < 2:
        parser.error(f"a deviation between seeds needs two of them, not {given.seeds}: give --seeds 2 or more")
    if (n := len(ends(rows))) < given.configurations:
        parser.error(f"the tables hold {n} configurations, not {given.configurations}: give fewer --configurations")
    found = {key(one): one for one in read(given.out)} if given.out.exists() else {}
    wanted = [
        {"configuration": configuration, "seed": FIRST_SEED + seed}
        for seed in range(given.seeds)
        for configuration in evenly(rows, given.configurations)
    ]
    if missing := [one for one in wanted if key(one) not in found]:
        planned = plan(SearchRequest(task=given.task, train_examples=given.train_examples, workers=0, space="four_modules"))
        runner, measure_at = make_runner(planned), planned.budget.epoch_ends
        with given.out.open("a") as table:
            for number, one in enumerate(missing):
                configuration = Configuration.from_dict(one["configuration"])
                outcome = runner.run(Assignment(number, configuration, planned.budget, seed=one["seed"], measure_at=measure_at))
                found[key(one)] = row(outcome)
                table.write(json.dumps(found[key(one)]) + "\n")
                table.flush()
    each = [[found[key(one)] for one in wanted[i :: given.configurations]] for i in range(given.configurations)]
    whole = [trainings for trainings in each if all("curve" in one for one in trainings)]
    for name in (METRIC, *EARLY):
        values = np.array([[one["curve"][-1][name] for one in trainings] for trainings in whole]).T
        print(f"{name:<18} all {spread(values)}  better half {spread(values[:, len(whole) // 2 :])}")


def read(*paths: Path) -> list[Row]:
    """Return the rows of tables."""
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def key(training: Row) -> str:
    """Return what tells trainings apart."""
    return json.dumps([training["configuration"], training["seed"]], sort_keys=True)


def ends(rows: Sequence[Row]) -> dict[str, float]:
    """Return the metric of each configuration that was measured, by its JSON; of several, the last."""
    return {json.dumps(one["configuration"], sort_keys=True): one["curve"][-1][METRIC] for one in rows if "curve" in one}


def evenly(rows: Sequence[Row], n: int) -> list[dict[str, Any]]:
    """Return n distinct configurations, of at least as many, evenly spaced in the order of the metric, ascending."""
    metric = ends(rows)
    order = sorted(metric, key=metric.__getitem__)
    return [json.loads(order[i]) for i in np.linspace(0, len(order) - 1, n).round().astype(int)]


def spread(values: NDArray[np.float64]) -> str:
    """Return the pooled deviation within the columns of seeds x configurations, its interval, and that of the columns' means."""
    freedom = (len(values) - 1) * values.shape[1]
    squares = float(((values - values.mean(axis=0)) ** 2).sum())
    low, high = (math.sqrt(squares / float(chi2.ppf(share, freedom))) for share in (0.975, 0.025))
    between = values.mean(axis=0).std(ddof=1) if values.shape[1] > 1 else math.nan
    return f"{math.sqrt(squares / freedom):.4f} [{low:.4f}, {high:.4f}], between configurations {between:.4f}"


if __name__ == "__main__":
    main()
