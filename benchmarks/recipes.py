"""Whether recipes made for few examples help: full fine-tuning and LoRA on 300 training examples, each with and without them.

    AUTOPEFT_DATA=... python benchmarks/recipes.py [--tasks trec mrpc] [--seeds 3] [--epochs 6] --out benchmarks/tables/recipes.jsonl

A seed draws the 300 training and 300 validation examples, the head, the modules and the order. The epoch is kept that is best on
validation data; test examples are measured once, with it. All trainings see as many examples; what takes several passes of each says so
in its processor seconds. Rates are not tuned: LoRA's follows the portfolio's rule. What is switched on is what the papers named in
docs/recipes.md advise for few examples, at values from the middle of their ranges.

One JSON line a training; a file that is there is gone on with. Printed are means of the test metric over seeds with their standard
deviation, and the mean difference to the same seeds without recipes.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
from final_quality import ALL_LINEARS, read

from autopeft.budget import FULL_EPOCHS, Budget
from autopeft.configuration import Configuration, PeftModule
from autopeft.tasks import Split, TaskData
from autopeft.training.backbone import find_backbone
from autopeft.training.measurement import Assignment, RunnerSettings
from autopeft.training.runner import TrialRunner
from autopeft.training_parameters import TrainingValue

Row = dict[str, Any]

N_TRAIN, N_VALIDATION = 300, 300
ALL_LAYERS = tuple(range(6))
METHODS: Mapping[str, tuple[PeftModule, float]] = {
    "full fine-tuning": (PeftModule("full_fine_tuning", 1), 1e-4),
    "LoRA": (PeftModule("lora", 8, ALL_LAYERS, ALL_LINEARS), 1e-3),
}
"""Module and learning rate; of LoRA 331,776 parameters."""
WITH: Mapping[str, Mapping[str, Mapping[str, TrainingValue]]] = {
    "full fine-tuning": {"none": {}, "start": {"warmup_fraction": 0.1, "reinit_layers": 1.0, "layer_rate_decay": 0.9, "mixout": 0.5}},
    "LoRA": {"none": {}, "noise": {"warmup_fraction": 0.1, "r_drop": 1.0, "word_dropout": 0.1}},
}
"""By method and name of a set of recipes: what keeps pretrained weights near their start, or draws the top anew; and noise."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=["trec", "mrpc"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=FULL_EPOCHS)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    rows = [json.loads(line) for line in given.out.read_text().splitlines()] if given.out.exists() else []
    done = {key(row) for row in rows}
    for task in given.tasks:
        for seed in range(given.seeds):
            wanted = [one for one in trainings(task, seed) if key(one) not in done]
            if wanted:
                runner, metric = make_runner(read(task), seed)
                for one in wanted:
                    rows.append(trained(runner, metric, one, given.epochs))
                    with given.out.open("a") as table:
                        table.write(json.dumps(rows[-1]) + "\n")
        print(table_of([row for row in rows if row["task"] == task]), flush=True)


def trainings(task: str, seed: int) -> list[Row]:
    """Return all trainings of a task with a seed."""
    return [{"task": task, "seed": seed, "method": method, "recipes": recipes} for method, sets in WITH.items() for recipes in sets]


def key(row: Row) -> tuple[object, ...]:
    """Return what tells trainings apart."""
    return tuple(row[name] for name in ("task", "seed", "method", "recipes"))


def make_runner(data: TaskData, seed: int) -> tuple[TrialRunner, str]:
    """Return what trains on few examples of a task, and the task's metric."""
    drawn = np.random.default_rng(seed).permutation(len(data.train))
    splits: Sequence[Split] = [data.train.take(np.sort(some)) for some in (drawn[:N_TRAIN], drawn[N_TRAIN:][:N_VALIDATION])]
    return TrialRunner(RunnerSettings(find_backbone(), data.task, *splits, threads=1, test=data.test)), data.task.metric


def trained(runner: TrialRunner, metric: str, one: Row, epochs: int) -> Row:
    """Train once, and return the row of the table."""
    module, rate = METHODS[one["method"]]
    configuration = Configuration((module,), {"learning_rate": rate, **WITH[one["method"]][one["recipes"]]})
    budget = Budget(epochs=epochs, batch_size=16)
    outcome = runner.run(Assignment(0, configuration, budget, one["seed"], budget.epoch_ends, keeps_best=True))
    found = outcome.measurement
    if found is None or found.final is None:
        return {**one, "error": outcome.error}
    kept = {"epoch": found.final.epoch, "validation": round(found.metrics[metric], 4), "test": round(found.final.test_metrics[metric], 4)}
    return {**one, **kept, "cpu_seconds": round(found.cpu_seconds, 1)}


def table_of(rows: Sequence[Row]) -> str:
    """Return a line for each method and set of recipes."""
    lines = []
    for method, sets in WITH.items():
        plain = {row["seed"]: row["test"] for row in rows if (row["method"], row["recipes"]) == (method, "none") and "test" in row}
        for recipes in sets:
            some = [row for row in rows if (row["method"], row["recipes"]) == (method, recipes) and "test" in row]
            if len(some) < 2:
                continue
            tests = [row["test"] for row in some]
            gains = [row["test"] - plain[row["seed"]] for row in some if row["seed"] in plain]
            seconds = fmean(row["cpu_seconds"] for row in some)
            gain = f", gain {fmean(gains):+.3f} ± {stdev(gains):.3f}" if recipes != "none" and len(gains) > 1 else ""
            head = f"{some[0]['task']:<6} {method:<18} {recipes:<16}"
            lines.append(f"{head} {fmean(tests):.3f} ± {stdev(tests):.3f} ({len(tests)} seeds, {seconds:.0f} processor s){gain}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
