"""Learning curves of random configurations of the default space, each trained at a task's low-cost budget and measured on the way.

    AUTOPEFT_DATA=... python benchmarks/curves.py --task mrpc --configurations 400 --out benchmarks/tables/mrpc.jsonl

One JSON line a configuration. A table that is there is gone on with, so that it can be gathered over several runs; a configuration
depends on nothing but the seed and its line. A trial that fails has a line too, with its error and no curve. `--epochs-only` measures
where a search does, which takes less time: a table needs no more than some sixty lines that tell how a trial comes to its end.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from autopeft.configuration import Configuration
from autopeft.loops.planning import SearchPlan, plan
from autopeft.request import SearchRequest
from autopeft.training.measurement import Assignment, Outcome, RunnerSettings
from autopeft.training.runner import TrialRunner

MEASURE_AT = (1 / 9, 1 / 6, 1 / 3, 1 / 2, 2 / 3, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="mrpc")
    parser.add_argument("--configurations", type=int, default=400, help="how many the table shall hold (default: 400)")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--train-examples", type=int, help="instead of the task's budget")
    parser.add_argument("--epochs-only", action="store_true", help="measure at the end of each epoch alone")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    planned = plan(SearchRequest(task=arguments.task, train_examples=arguments.train_examples, workers=0, space="four_modules"))
    runner = make_runner(planned)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    done = len(arguments.out.read_text().splitlines()) if arguments.out.exists() else 0
    measure_at = planned.budget.epoch_ends if arguments.epochs_only else MEASURE_AT
    with arguments.out.open("a") as table:
        for index in range(done, arguments.configurations):
            configuration = draw(planned, arguments.seed, index)
            outcome = runner.run(Assignment(index, configuration, planned.budget, seed=index, measure_at=measure_at))
            table.write(json.dumps(row(outcome)) + "\n")
            table.flush()


def make_runner(planned: SearchPlan) -> TrialRunner:
    """Return what trains a search's trials, on one thread."""
    return TrialRunner(RunnerSettings(planned.backbone, planned.data.task, planned.data.train, planned.data.validation, threads=1))


def draw(planned: SearchPlan, seed: int, index: int) -> Configuration:
    """Return the configuration of a line of the table: a point drawn uniformly, again if it has no modules."""
    rng = np.random.default_rng((seed, index))
    drawn = (planned.space.configuration(planned.space.sample(rng)) for _ in count())
    return next(configuration for configuration in drawn if configuration.modules)


def row(outcome: Outcome) -> dict[str, object]:
    """Return a line of the table."""
    head = {"configuration": outcome.assignment.configuration.to_dict(), "seed": outcome.assignment.seed}
    found = outcome.measurement
    if found is None:
        return {**head, "error": outcome.error}
    curve = [rounded(asdict(point)) for point in found.curve]
    costs = {name: round(getattr(found, name), 2) for name in ("seconds", "train_seconds", "cpu_seconds")}
    return {**head, "trainable_parameters": found.trainable_parameters, **costs, "peak_bytes": found.peak_bytes, "curve": curve}


def rounded(point: Mapping[str, Any]) -> dict[str, float]:
    """Return a point of a curve, as a run's curve.jsonl has it, in the form of a table."""
    metrics = {name: round(value, 5) for name, value in point["metrics"].items()}
    return {"progress": round(point["progress"], 4), "train_loss": round(point["train_loss"], 5), **metrics}


if __name__ == "__main__":
    main()
