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
from problems.tabulated import METRIC, MRPC
from scipy.stats import chi2

from autopeft.configuration import Configuration
from autopeft.loops.search import plan
from autopeft.request import SearchRequest
from autopeft.training.measurement import Assignment

FIRST_SEED = 10**6
"""Beyond the seeds of curves.py, which count configurations."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="mrpc")
    parser.add_argument("--tables", type=Path, nargs="+", default=MRPC)
    parser.add_argument("--configurations", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--metrics", nargs="+", default=[METRIC, "average_precision", "loss"])
    parser.add_argument("--train-examples", type=int, help="instead of the task's budget")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    chosen = evenly([json.loads(line) for path in given.tables for line in path.read_text().splitlines()], given.configurations)
    done = [json.loads(line) for line in given.out.read_text().splitlines()] if given.out.exists() else []
    asked = [(configuration, FIRST_SEED + seed) for seed in range(given.seeds) for configuration in chosen]
    if asked[len(done) :]:
        planned = plan(SearchRequest(task=given.task, train_examples=given.train_examples, workers=0))
        runner, measure_at = make_runner(planned), planned.budget.epoch_ends
        with given.out.open("a") as table:
            for index, (configuration, seed) in enumerate(asked[len(done) :], start=len(done)):
                outcome = runner.run(Assignment(index, configuration, planned.budget, seed=seed, measure_at=measure_at))
                done.append(row(outcome))
                table.write(json.dumps(done[-1]) + "\n")
                table.flush()
    each = [done[i :: given.configurations] for i in range(given.configurations)]
    whole = [trainings for trainings in each if all("curve" in one for one in trainings)]
    for name in given.metrics:
        values = np.array([[one["curve"][-1][name] for one in trainings] for trainings in whole]).T
        print(f"{name:<18} all {spread(values)}  better half {spread(values[:, len(whole) // 2 :])}")


def evenly(rows: Sequence[dict[str, Any]], n: int) -> list[Configuration]:
    """Return n distinct configurations, evenly spaced in the order of the metric, ascending."""
    ends = {json.dumps(one["configuration"], sort_keys=True): one["curve"][-1][METRIC] for one in rows if "curve" in one}
    order = sorted(ends, key=ends.__getitem__)
    return [Configuration.from_dict(json.loads(order[i])) for i in np.linspace(0, len(order) - 1, n).round().astype(int)]


def spread(values: NDArray[np.float64]) -> str:
    """Return the pooled deviation within the columns of seeds x configurations, its interval, and that of the columns' means."""
    freedom = (len(values) - 1) * values.shape[1]
    squares = float(((values - values.mean(axis=0)) ** 2).sum())
    low, high = (math.sqrt(squares / float(chi2.ppf(share, freedom))) for share in (0.975, 0.025))
    return f"{math.sqrt(squares / freedom):.4f} [{low:.4f}, {high:.4f}], between configurations {values.mean(axis=0).std(ddof=1):.4f}"


if __name__ == "__main__":
    main()
