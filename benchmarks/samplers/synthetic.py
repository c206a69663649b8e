"""Compares samplers by name on the synthetic family: hypervolume reached, noise-free, as a fraction of the true front's.

    python benchmarks/samplers/synthetic.py [--samplers autopeft,tpe,random] [--seeds 3] [--evaluations 64] [--batch 4] [--json FILE]

`--batch` trials are asked for before any of them is told. Every run is one line of FILE; a run that FILE holds is not made again.
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from statistics import mean, median, pstdev
from typing import Any

import numpy as np
import optuna
from family import N_INSTANCES, Problem
from optuna.samplers import BaseSampler

from autopeft.samplers.bayesian import BayesianSampler
from autopeft.samplers.registry import SAMPLERS, make_sampler
from autopeft.samplers.view import SpaceHints

MARKS = (16, 32, 64, 128, 200)
Maker = Callable[[Problem, int], BaseSampler]


def autopeft(problem: Problem, seed: int) -> BaseSampler:
    """Return our sampler with all that a search would tell it; the reference point is not among it."""
    hints = SpaceHints(valid=problem.valid)
    return BayesianSampler({0: problem.parameters}, seed, distributions=problem.distributions, hints=hints)


def plain(problem: Problem, seed: int) -> BaseSampler:
    """Return our sampler as anyone's study would use it: nothing is known."""
    return BayesianSampler(seed=seed)


problem_of = cache(Problem)  # its true front takes a while
MAKERS: dict[str, Maker] = {name: lambda problem, seed, name=name: make_sampler(name, seed) for name in SAMPLERS} | {
    "autopeft": autopeft,
    "autopeft-plain": plain,
}


def run(name: str, instance: int, seed: int, n_evaluations: int, batch: int) -> dict[str, Any]:
    """Run one study; return its figures."""
    problem = problem_of(instance)
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=MAKERS[name](problem, seed))
    rng = np.random.default_rng(10_000 + seed)
    points: list[dict[str, Any]] = []
    seconds: list[float] = []
    while len(points) < n_evaluations:
        trials = []
        for _ in range(min(batch, n_evaluations - len(points))):
            began = time.perf_counter()
            trials.append(study.ask(problem.distributions))
            seconds.append(time.perf_counter() - began)
        for trial in trials:
            noisy = problem.accuracy(trial.params) + problem.noise * rng.normal()
            study.tell(trial, [problem.parameters(trial.params), noisy])
            points.append(trial.params)
    reached = {str(mark): problem.reached(points[:mark]) for mark in MARKS if mark <= n_evaluations}
    return {"reached": reached, "seconds": median(seconds[-16:])}


def key(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return what tells runs apart."""
    return tuple(row[name] for name in ("sampler", "instance", "seed", "evaluations", "batch"))


def report(rows: list[dict[str, Any]]) -> None:
    """Print one line a sampler and mark: mean and spread over all runs, and the mean of each instance."""
    print(f"{'sampler':<16} {'at':>4} {'runs':>4}  hypervolume    by instance          seconds a suggestion")
    for name in dict.fromkeys(row["sampler"] for row in rows):
        mine = [row for row in rows if row["sampler"] == name]
        for mark in mine[0]["reached"]:
            found = [row["reached"][mark] for row in mine]
            each = [mean(one) for i in range(N_INSTANCES) if (one := [row["reached"][mark] for row in mine if row["instance"] == i])]
            by_instance = " ".join(f"{one:.3f}" for one in each)
            seconds = median(row["seconds"] for row in mine)
            print(f"{name:<16} {mark:>4} {len(found):>4}  {mean(found):.3f} ± {pstdev(found):.3f}  {by_instance:<20} {seconds:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samplers", default="autopeft,tpe,random", help=f"out of {','.join(MAKERS)}")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--evaluations", type=int, default=64)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--json", type=Path, default=Path("synthetic.jsonl"))
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    done = {key(row): row for row in map(json.loads, given.json.read_text().splitlines())} if given.json.is_file() else {}
    rows = []
    for name in given.samplers.split(","):
        for seed in range(given.seeds):
            for instance in range(N_INSTANCES):
                row = {"sampler": name, "instance": instance, "seed": seed, "evaluations": given.evaluations, "batch": given.batch}
                if key(row) not in done:
                    done[key(row)] = row | run(name, instance, seed, given.evaluations, given.batch)
                    with given.json.open("a") as file:
                        file.write(json.dumps(done[key(row)]) + "\n")
                rows.append(done[key(row)])
    report(rows)


if __name__ == "__main__":
    main()
