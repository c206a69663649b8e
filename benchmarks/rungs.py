"""What rungs save: searches with and without them, same sampler, same seeds, on a model of real learning curves.

    python benchmarks/rungs.py [--tables benchmarks/tables/mrpc.jsonl ...] [--ladders 0.33;0.17,0.5] [--reductions 2,3]
                               [--seeds 3] [--trials 64] [--sampler autopeft] [--json FILE]

The search is the real one: study, sampler, schedule, rungs. Trials are not trained but read off a regression on a table of gathered curves
(see problems/tabulated.py), with noise. A search without rungs of `--trials` trials sets the mark: the hypervolume of its trials' modelled
values. One with rungs may start as many trials as it wants; what counts is the cost, in whole trials, at which it reaches that mark,
and what it has reached when it has spent a third, and all, of what the other spent. A trial that stopped early is never on a front.
"""

import argparse
import heapq
import json
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean, pstdev
from typing import Any

import numpy as np
from problems.tabulated import METRIC, MRPC, NOISE, Tabulated

from autopeft.api import SilentSearch
from autopeft.configuration import Configuration
from autopeft.loops.planning import write_settings
from autopeft.loops.search import run_trials
from autopeft.study.directory import RunDirectory
from autopeft.study.record import TrialRecord
from autopeft.study.study import Study
from autopeft.training.measurement import Assignment, BackboneFacts, CurvePoint, Measurement, Outcome

N_WORKERS = 2
MAX_STARTED = 6
"""A search with rungs may start so many times as many trials."""


class SpentError(Exception):
    """The search has spent what it may."""


class ModelledWorkers:
    """An executor whose trials are read off the model; it stops a search that has spent so many whole trials."""

    capacity = N_WORKERS
    works_apart = False

    def __init__(self, problem: Tabulated, facts: BackboneFacts, seed: int, limit: float) -> None:
        self._problem, self._facts, self._limit = problem, facts, limit
        self._rng = np.random.default_rng(seed)
        self._running: list[tuple[float, int, Assignment]] = []
        self._now = self.spent = 0.0

    def describe(self) -> BackboneFacts:
        return self._facts

    def submit(self, assignment: Assignment) -> None:
        share = assignment.measure_at[-1] - _done(assignment)
        heapq.heappush(self._running, (self._now + share, assignment.trial, assignment))

    def next_outcome(self) -> Outcome:
        if self.spent >= self._limit:
            raise SpentError
        self._now, _, assignment = heapq.heappop(self._running)
        self.spent += assignment.measure_at[-1] - _done(assignment)
        metric, early = self._problem.measure(assignment.configuration)
        points = []
        for progress in assignment.measure_at:
            early_values = {name: float(np.interp(progress, self._problem.progress, course)) for name, course in early.items()}
            noisy = {name: value + NOISE * self._rng.normal() for name, value in {METRIC: metric, **early_values}.items()}
            points.append(CurvePoint(progress, progress, 1, 0.5, noisy))
        earlier = assignment.checkpoint.measurement.curve if assignment.checkpoint else ()
        size = self._problem.parameters(assignment.configuration)
        measured = Measurement(points[-1].metrics, (*earlier, *points), size, 0, 1.0, 1.0, 1, 1, progress=points[-1].progress)
        return Outcome(assignment, measured, state=b"" if measured.progress == 1 else b"state")

    def close(self) -> None:
        return


@dataclass
class Course(SilentSearch):
    """Notes how much is reached for how much spent."""

    problem: Tabulated
    workers: ModelledWorkers
    finished: list[Configuration] = field(default_factory=list)
    reached: list[tuple[float, float]] = field(default_factory=list)

    def trial_finished(self, record: TrialRecord, on_front: bool, n_done: int, n_trials: int) -> None:
        if record.state == "complete":
            self.finished.append(record.configuration)
            self.reached.append((self.workers.spent, self.problem.reached_by(self.finished)))

    def at(self, cost: float) -> float:
        """Return what was reached when so much was spent."""
        return max((volume for spent, volume in self.reached if spent <= cost), default=0.0)

    def cost_of(self, mark: float) -> float:
        """Return what was spent when a mark was reached; infinite if it never was."""
        return min((spent for spent, volume in self.reached if volume >= mark), default=float("inf"))


def _done(assignment: Assignment) -> float:
    return assignment.checkpoint.measurement.progress if assignment.checkpoint else 0.0


def search(problem: Tabulated, sampler: str, seed: int, rungs: tuple[float, ...], reduction: float, n_trials: int, limit: float) -> Course:
    """Run one search until it has started all its trials or spent its limit."""
    request = replace(problem.planned.request, sampler=sampler, seed=seed, rungs=rungs, reduction=reduction, trials=n_trials)
    planned = replace(problem.planned, request=request)
    workers = ModelledWorkers(problem, planned.facts, seed, limit)
    course = Course(problem, workers)
    with tempfile.TemporaryDirectory() as folder:
        run = RunDirectory.create(Path(folder) / "run")
        study = Study.create(run, planned.problem, sampler, seed)
        write_settings(run, planned, {}, "")
        with suppress(SpentError):
            run_trials(planned, run, study, workers, course)
    return course


def compare(problem: Tabulated, given: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a line per ladder and reduction."""
    seeds = range(given.seeds)
    full = [search(problem, given.sampler, seed, (), 3.0, given.trials, float("inf")) for seed in seeds]
    marks = [one.at(given.trials) for one in full]
    rows: list[dict[str, Any]] = [line("none", 0.0, full, marks, given.trials)]
    for ladder in given.ladders.split(";"):
        rungs = tuple(float(rung) for rung in ladder.split(","))
        for reduction in map(float, given.reductions.split(",")):
            found = [
                search(problem, given.sampler, seed, rungs, reduction, MAX_STARTED * given.trials, given.trials + 0.0) for seed in seeds
            ]
            rows.append(line(ladder, reduction, found, marks, given.trials))
    return rows


def line(rungs: str, reduction: float, found: list[Course], marks: list[float], n_trials: int) -> dict[str, Any]:
    """Return the figures of one way to search."""
    costs = [one.cost_of(mark) / n_trials for one, mark in zip(found, marks, strict=True)]
    third, all_ = ([one.at(share * n_trials) for one in found] for share in (1 / 3, 1.0))
    return {
        "rungs": rungs,
        "reduction": reduction,
        "cost_of_mark": costs,
        "at_a_third": mean(third),
        "at_a_third_spread": pstdev(third),
        "at_the_end": mean(all_),
        "at_the_end_spread": pstdev(all_),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, nargs="+", default=MRPC)
    parser.add_argument("--ladders", default="0.3333;0.1667,0.5", help="separated by semicolons")
    parser.add_argument("--reductions", default="2,3")
    parser.add_argument("--sampler", default="autopeft")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    problem = Tabulated(*given.tables)
    error = problem.fit_error()
    print("model: " + ", ".join(f"{name} {value:.3g}" for name, value in error.items()))
    rows = compare(problem, given)
    print(f"{'rungs':<14} {'reduction':>9}  {'at a third':>14}  {'at the end':>14}  cost at which the mark is reached, by seed")
    for row in rows:
        third, end = (f"{row[name]:.3f} ± {row[f'{name}_spread']:.3f}" for name in ("at_a_third", "at_the_end"))
        costs = " ".join(f"{cost:.2f}" for cost in row["cost_of_mark"])
        print(f"{row['rungs']:<14} {row['reduction']:>9g}  {third:>14}  {end:>14}  {costs}")
    if given.json:
        given.json.write_text(json.dumps({"model": error, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
