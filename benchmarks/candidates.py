"""Which configurations are good on every task: candidates for the portfolio beside its entries, at low cost and at the full budget.

    AUTOPEFT_DATA=... python benchmarks/candidates.py [--tasks trec mrpc stsb sst2] [--budget low | full] [--names lora all_kinds]
        [--factors 1 0.5] [--seeds 1] --out benchmarks/tables/candidates.jsonl
    python benchmarks/candidates.py --print [--tasks trec stsb] --out benchmarks/tables/candidates.jsonl

Low cost is 800 examples x 2 epochs, the full budget 1,500 x 6 with the best epoch kept; all are measured on 500 validation examples. They
are drawn from the training examples that `final_quality.py --middle` leaves out, so what is chosen here is compared there on others.
A learning rate is the portfolio's for that number of parameters, times a factor.

One JSON line a training; a file that is there is gone on with. Printed are, by budget, the metrics of each candidate that was trained on
all tasks that others were trained on, at the best of its factors, how far it lies below the best of all on average, and the order in which
a greedy choice takes them: each time the one with which the best of those taken lies least below the best of all. Then the same choice
without each of the tasks.
"""

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from final_quality import ALL_LINEARS, MIDDLE, read

from autopeft.budget import Budget
from autopeft.configuration import Configuration
from autopeft.portfolio.entries import Entry, entries
from autopeft.tasks import TaskData
from autopeft.training.backbone import find_backbone
from autopeft.training.measurement import Assignment, RunnerSettings
from autopeft.training.runner import TrialRunner

Row = dict[str, Any]

EVERY, UPPER, MIDST = (0, 1), (0.5, 1), (0.333, 0.667)
QUERY_VALUE, ATTENTION = ("query", "value"), ("query", "key", "value", "attention_output")
N_TRAIN, N_VALIDATION = MIDDLE.most["train"], MIDDLE.most["validation"]
BUDGETS = {"low": Budget(train_examples=800, epochs=2, batch_size=16), "full": Budget(epochs=6, batch_size=16)}
N_TAKEN = 6
"""Of a greedy choice, so many are printed."""


def lora(size: int, targets: Sequence[str], layers: tuple[float, float] = EVERY) -> Row:
    """Return LoRA as a portfolio has it."""
    return {"method": "lora", "size": size, "targets": targets, "layers": layers}


def others(layers: tuple[float, float] = EVERY, /, **sizes: int | str) -> list[Row]:
    """Return other modules, by method."""
    return [{"method": method, "size": size, "layers": layers} for method, size in sizes.items()]


SWITCHES: Mapping[str, int] = {"bitfit": 1, "norm_tuning": 1}
MODULES: Mapping[str, Sequence[Row]] = {
    "lora_switches": [lora(8, ALL_LINEARS), *others(**SWITCHES)],
    "lora_parallel": [lora(8, ALL_LINEARS), *others(parallel_adapter="hidden/24")],
    "lora_serial": [lora(8, ALL_LINEARS), *others(serial_adapter="hidden/24")],
    "adapters": others(parallel_adapter="hidden/24", serial_adapter="hidden/24"),
    "adapters_switches": others(parallel_adapter="hidden/48", serial_adapter="hidden/48", **SWITCHES),
    "lora_adapters": [lora(4, ATTENTION), *others(parallel_adapter="hidden/48", serial_adapter="hidden/96")],
    "lora_adapters_upper": [lora(4, ATTENTION, UPPER), *others(UPPER, parallel_adapter="hidden/48", serial_adapter="hidden/192")],
    "lora_adapters_midst": [lora(4, ATTENTION, MIDST), *others(MIDST, parallel_adapter="hidden/48", serial_adapter="hidden/96")],
    "all_kinds": [lora(16, ATTENTION), *others(parallel_adapter="hidden/48", serial_adapter="hidden/96", prefix=2, **SWITCHES)],
    "all_kinds_small": [lora(2, ATTENTION), *others(parallel_adapter="hidden/96", serial_adapter="hidden/96", prefix=1, **SWITCHES)],
    "all_but_prefix": [lora(8, ATTENTION), *others(parallel_adapter="hidden/48", serial_adapter="hidden/48", **SWITCHES)],
    "unipelt": [lora(8, QUERY_VALUE), *others(parallel_adapter="hidden/24", prefix=8)],
}
"""What the portfolio may want besides its entries; the last after Mao et al. (2022, arXiv 2110.07577), without gates."""


def candidates() -> dict[str, Entry]:
    """Return the portfolio's entries and those that it may want."""
    known = entries()
    added = [Entry(name, "", tuple(modules), 0.002, known[0].rule) for name, modules in MODULES.items()]
    return {one.name: one for one in (*known, *added)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=["trec", "mrpc", "stsb", "sst2"])
    parser.add_argument("--budget", choices=BUDGETS, default="low")
    parser.add_argument("--names", nargs="+", choices=candidates(), metavar="NAME", default=list(candidates()))
    parser.add_argument("--factors", type=float, nargs="+", default=[1.0])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--print", dest="only_print", action="store_true")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    rows = read_rows(given.out)
    if not given.only_print:
        done = {key(row) for row in rows}
        for task in given.tasks:
            wanted = [
                {"task": task, "budget": given.budget, "name": name, "factor": factor, "seed": seed}
                for seed in range(given.seeds)
                for name in given.names
                for factor in given.factors
            ]
            if wanted := [one for one in wanted if key(one) not in done]:
                runner, metric = make_runner(read(task))
                for one in wanted:
                    with given.out.open("a") as table:
                        table.write(json.dumps(trained(runner, metric, one)) + "\n")
        rows = read_rows(given.out)
    for budget in BUDGETS:
        if scores := scores_of(row for row in rows if row["budget"] == budget and row["task"] in given.tasks):
            print(table_of(budget, scores))


def read_rows(path: Path) -> list[Row]:
    """Return what was trained before."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def key(row: Row) -> tuple[object, ...]:
    """Return what tells trainings apart."""
    return tuple(row[name] for name in ("task", "budget", "name", "factor", "seed"))


def make_runner(data: TaskData) -> tuple[TrialRunner, str]:
    """Return what trains on examples of a task, and the task's metric."""
    drawn = np.random.default_rng(0).permutation(len(data.train))[N_TRAIN:]  # what comes before is `cut` of final_quality
    train, validation = (data.train.take(np.sort(some)) for some in (drawn[:-N_VALIDATION][-N_TRAIN:], drawn[-N_VALIDATION:]))
    return TrialRunner(RunnerSettings(find_backbone(), data.task, train, validation, threads=1)), data.task.metric


def trained(runner: TrialRunner, metric: str, one: Row) -> Row:
    """Train once, and return the row of the table."""
    built = candidates()[one["name"]].build(runner.describe().topology)
    rate = built.training["learning_rate"] * one["factor"]
    budget = BUDGETS[one["budget"]]
    configuration = Configuration(built.modules, {"learning_rate": rate})
    outcome = runner.run(Assignment(0, configuration, budget, one["seed"], budget.epoch_ends, keeps_best=one["budget"] == "full"))
    if (found := outcome.measurement) is None:
        return {**one, "error": outcome.error}
    return {
        **one,
        "configuration": configuration.describe(),
        "trainable_parameters": found.trainable_parameters,
        "metric": metric,
        "value": round(found.metrics[metric], 4),
        "cpu_seconds": round(found.cpu_seconds, 1),
    }


def scores_of(rows: Iterable[Row]) -> dict[str, dict[str, float]]:
    """Return means over seeds by task and candidate, each at the factor that is best over the tasks it was trained on."""
    values: dict[tuple[str, float], dict[str, list[float]]] = {}
    for row in rows:
        if "value" in row:
            values.setdefault((row["name"], row["factor"]), {}).setdefault(row["task"], []).append(row["value"])
    means = {one: {task: fmean(some) for task, some in tasks.items()} for one, tasks in values.items()}
    n_tasks = max(map(len, means.values()), default=0)
    whole = {one: tasks for one, tasks in means.items() if len(tasks) == n_tasks}
    best: dict[str, dict[str, float]] = {}
    for (name, _), tasks in sorted(whole.items(), key=lambda item: -fmean(item[1].values())):
        best.setdefault(name, tasks)
    return best


def below(taken: Sequence[str], scores: Mapping[str, Mapping[str, float]], tasks: Sequence[str]) -> float:
    """Return how far the best of some lies below the best of all, on average."""
    return fmean(max(one[task] for one in scores.values()) - max(scores[name][task] for name in taken) for task in tasks)


def greedy(scores: Mapping[str, Mapping[str, float]], tasks: Sequence[str]) -> list[str]:
    """Return candidates in the order in which a greedy choice takes them."""
    taken: list[str] = []
    while len(taken) < min(N_TAKEN, len(scores)):
        left = [name for name in scores if name not in taken]
        # Where none adds to the best of those taken, the best by itself goes next.
        taken.append(min(left, key=lambda name: (below([*taken, name], scores, tasks), below([name], scores, tasks))))
    return taken


def table_of(budget: str, scores: Mapping[str, Mapping[str, float]]) -> str:
    """Return a line a candidate, best first, and the greedy choices."""
    tasks = sorted(next(iter(scores.values())))
    lines = [f"{budget:<20} " + " ".join(f"{task:>7}" for task in tasks) + "   below the best"]
    for name in sorted(scores, key=lambda name: below([name], scores, tasks)):
        cells = " ".join(f"{scores[name][task]:>7.4f}" for task in tasks)
        lines.append(f"{name:<20} {cells}   {below([name], scores, tasks):.4f}")
    lines.append(f"greedy: {', '.join(greedy(scores, tasks))}")
    without = {left_out: [task for task in tasks if task != left_out] for left_out in tasks if len(tasks) > 1}
    lines += [f"greedy without {left_out}: {', '.join(greedy(scores, rest))}" for left_out, rest in without.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
