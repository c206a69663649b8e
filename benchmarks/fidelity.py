"""What a cheap measurement knows of a trial's end, and what rungs save and lose, on gathered learning curves (see curves.py).

    python benchmarks/fidelity.py benchmarks/tables/mrpc.jsonl [...] [--json FILE]

First table: Spearman rank correlation, over configurations, between a validation measurement after a share of the budget and the task's
metric at its end, and how many distinct values the measurement took. Loss counts with its sign turned, so that 1 is always best.

Second table: searches that start the table's configurations in random order, on two workers, with rungs and without. "kept" is the
hypervolume (the task's metric up from the worst that was seen, parameters down on a log scale) of the trials that reached the end over
that of all; "cost" the share of steps taken. Means and standard deviations over random orders.
"""

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, pstdev
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from autopeft.pareto import hypervolume
from autopeft.rungs.halving import Standing, SuccessiveHalving

Row = dict[str, Any]
LADDERS = [(), (1 / 3,), (1 / 6, 1 / 2), (1 / 9, 1 / 3), (1 / 6,), (1 / 9,), (1 / 9, 1 / 6, 1 / 3, 2 / 3)]
REDUCTIONS = (2.0, 3.0, 4.0)
N_ORDERS = 20
N_TRIALS = 64
N_WORKERS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path, nargs="+")
    parser.add_argument("--metric", default="accuracy")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    figures = {}
    for path in arguments.tables:
        rows = [row for row in map(json.loads, path.read_text().splitlines()) if "curve" in row]
        n_points = max(len(row["curve"]) for row in rows)
        rows = [row for row in rows if len(row["curve"]) == n_points]  # of others the course is not known
        print(f"\n{path.stem}: {len(rows)} configurations")
        ranking, halving = list(rank_correlations(rows, arguments.metric)), list(replays(rows, arguments.metric))
        show(ranking)
        show(halving)
        figures[path.stem] = {"configurations": len(rows), "ranking": ranking, "rungs": halving}
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def show(table: Sequence[Row]) -> None:
    print("\n" + "  ".join(f"{name:>20}" for name in table[0]))
    for line in table:
        print("  ".join(f"{value:>20.3f}" if isinstance(value, float) else f"{value!s:>20}" for value in line.values()))


def rank_correlations(rows: Sequence[Row], metric: str) -> Iterator[Row]:
    """Yield a line per measurement and share of the budget."""
    final = [row["curve"][-1][metric] for row in rows]
    for at, point in enumerate(rows[0]["curve"]):
        for name in point:
            if name == "progress":
                continue
            values = [row["curve"][at][name] * (-1 if "loss" in name else 1) for row in rows]
            correlation = float(spearmanr(values, final).statistic) if len(set(values)) > 1 else math.nan
            yield {"progress": point["progress"], "measurement": name, "spearman": correlation, "distinct": len(set(values))}


def replays(rows: Sequence[Row], metric: str) -> Iterator[Row]:
    """Yield a line per measurement, ladder and reduction."""
    names = [name for name in ("average_precision", "loss", metric) if name in rows[0]["curve"][0]]
    for name in names:
        for rungs in LADDERS:
            for reduction in REDUCTIONS if rungs else (3.0,):
                halving = SuccessiveHalving(rungs, reduction)
                runs = [replay(shuffled(rows, seed), name, metric, halving) for seed in range(N_ORDERS)]
                kept, cost, finished = zip(*runs, strict=True)
                yield {
                    "ranked by": name,
                    "rungs": ",".join(f"{rung:.2f}" for rung in rungs) or "none",
                    "reduction": reduction,
                    "cost": mean(cost),
                    "finished": mean(finished),
                    "kept": mean(kept),
                    "kept, deviation": pstdev(kept),
                }


def shuffled(rows: Sequence[Row], seed: int) -> list[Row]:
    order = np.random.default_rng(seed).permutation(len(rows))[:N_TRIALS]
    return [rows[index] for index in order]


@dataclass
class Simulated:
    """A trial whose measurements are read from the table."""

    row: Row
    losses: list[tuple[float, float]] = field(default_factory=list)
    done: float = 0.0
    waiting: bool = False


def replay(rows: Sequence[Row], measurement: str, metric: str, halving: SuccessiveHalving) -> tuple[float, float, int]:
    """Return the share of the hypervolume kept, the share of the steps taken, and the number of trials that reached the end."""
    trials: list[Simulated] = []
    running: list[tuple[float, int]] = []
    now = cost = 0.0
    while True:
        while len(running) < N_WORKERS:
            standings = [Standing(number, tuple(trial.losses), trial.waiting) for number, trial in enumerate(trials)]
            number = halving.promotion(standings)
            if number is None and len(trials) < len(rows):
                number = len(trials)
                trials.append(Simulated(rows[number]))
            if number is None:
                break
            trial = trials[number]
            trial.waiting = False
            stop = halving.next_stop(len(trial.losses))
            cost += stop - trial.done
            running.append((now + stop - trial.done, number))
            trial.done = stop
        if not running:
            break
        running.sort()
        now, number = running.pop(0)
        trial = trials[number]
        if trial.done < 1:
            point = next(point for point in trial.row["curve"] if abs(point["progress"] - trial.done) < 1e-3)
            sign = 1.0 if "loss" in measurement else -1.0
            trial.losses.append((sign * point[measurement], cost_of(trial.row)))
            trial.waiting = True
    finished = [trial.row for trial in trials if trial.done == 1]
    return volume(finished, rows, metric) / volume(rows, rows, metric), cost / len(rows), len(finished)


def volume(chosen: Sequence[Row], rows: Sequence[Row], metric: str) -> float:
    everything = points(rows, metric)
    reference = everything.max(axis=0) + 1e-9
    return hypervolume(points(chosen, metric), reference) if chosen else 0.0


def points(rows: Sequence[Row], metric: str) -> NDArray[np.float64]:
    return np.array([(-row["curve"][-1][metric], cost_of(row)) for row in rows])


def cost_of(row: Row) -> float:
    return math.log10(row["trainable_parameters"])


if __name__ == "__main__":
    main()
