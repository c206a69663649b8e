"""How far one driver goes: the real study, sampler, rungs and loop, with simulated workers.

    python benchmarks/scale.py [--workers 1,8,64,512,4096] [--trials-per-worker 4] [--sampler autopeft] [--minutes 10] [--rungs 0.33]
                               [--quick] [--json FILE]

A worker's trial takes `--minutes` on a simulated clock, a third more or less, in proportion to what of its budget is trained; what the
driver does between two calls of the executor takes as long on that clock as it really takes. So a worker is idle from the end of its trial
until the driver has recorded it, thought of the next one and handed that out, behind all that ended before it. Accuracy is drawn from
a curve that saturates in the number of parameters. No model is trained; the demo task's backbone is looked at once.
"""

import argparse
import heapq
import json
import math
import resource
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from autopeft.api import SilentSearch
from autopeft.configuration import Configuration
from autopeft.loops.planning import BackboneCosts, SearchPlan, plan, write_settings
from autopeft.loops.search import run_trials
from autopeft.methods.counting import ParameterCounter
from autopeft.request import SearchRequest
from autopeft.study.directory import RunDirectory
from autopeft.study.study import Study
from autopeft.training.measurement import Assignment, BackboneFacts, CurvePoint, Measurement, Outcome

MAX_TRIALS = 20_000
LINE = (
    "{workers:>5} workers {trials:>6} trials {trials_a_second:7.2f} a second, suggestion {suggestion_seconds:.3f} s, "
    "idle {idle_share:6.2%}, {megabytes_resident:,.0f} MB, {kilobytes_stored_a_trial:.1f} kB stored a trial"
)


class SimulatedWorkers:
    """An executor whose trials take time on a clock of its own.

    Args:
        facts: The backbone's.
        capacity: How many workers.
        seconds: What a whole trial takes in the mean.
    """

    works_apart = True

    def __init__(self, facts: BackboneFacts, capacity: int, seconds: float) -> None:
        self.capacity, self._facts, self._seconds = capacity, facts, seconds
        self._costs = BackboneCosts(ParameterCounter(facts.topology), facts.head_parameters)
        self._rng = np.random.default_rng(0)
        self._now, self._left_at = 0.0, time.perf_counter()
        self._running: list[tuple[float, int, Assignment]] = []
        self._free_since = [0.0] * capacity
        self.busy, self.idle, self.driver = 0.0, 0.0, 0.0

    def describe(self) -> BackboneFacts:
        return self._facts

    def submit(self, assignment: Assignment) -> None:
        self._arrive()
        start = self._free_since.pop()
        self.idle += self._now - start if start else 0.0  # filling the cluster at the beginning is no idling between trials
        share = assignment.measure_at[-1] - (assignment.checkpoint.measurement.progress if assignment.checkpoint else 0)
        lasts = self._seconds * share * self._rng.uniform(2 / 3, 4 / 3)
        self.busy += lasts
        heapq.heappush(self._running, (self._now + lasts, assignment.trial, assignment))
        self._left_at = time.perf_counter()

    def next_outcome(self) -> Outcome:
        self._arrive()
        end, _, assignment = heapq.heappop(self._running)
        self._now = max(self._now, end)
        self._free_since.append(end)
        outcome = self._measure(assignment)
        self._left_at = time.perf_counter()
        return outcome

    def close(self) -> None:
        return

    def _arrive(self) -> None:
        passed = time.perf_counter() - self._left_at
        self.driver += passed
        self._now += passed

    def _measure(self, assignment: Assignment) -> Outcome:
        size = self._size(assignment.configuration)
        accuracy = 0.9 - 0.4 * math.exp(-math.log10(1 + size) / 3) + 0.01 * self._rng.normal()
        points = [
            CurvePoint(progress, progress, int(1000 * progress), 0.5, {"accuracy": accuracy * progress**0.1, "loss": 1 - accuracy})
            for progress in assignment.measure_at
        ]
        curve = (*(assignment.checkpoint.measurement.curve if assignment.checkpoint else ()), *points)
        progress = points[-1].progress
        measurement = Measurement(points[-1].metrics, curve, size, 0, 1.0, 1.0, 1, 1, progress=progress)
        return Outcome(assignment, measurement, {}, state=b"" if progress == 1 else b"state")

    def _size(self, configuration: Configuration) -> int:
        known = self._costs(configuration)
        return int(known["trainable_parameters"]) if known else 0


def simulate(found: SearchPlan, n_workers: int, n_trials: int, minutes: float, folder: Path) -> dict[str, Any]:
    """Run one search; return its figures."""
    request = replace(found.request, trials=n_trials)
    planned = replace(found, request=request)
    run = RunDirectory.create(folder)
    study = Study.create(run, planned.problem, request.sampler, request.seed)
    write_settings(run, planned, {}, "")
    workers = SimulatedWorkers(found.facts, n_workers, 60 * minutes)
    began = time.perf_counter()
    run_trials(planned, run, study, workers, SilentSearch())
    seconds = time.perf_counter() - began
    suggestions = [one.suggestion_seconds for one in study.times() if one.suggestion_seconds is not None]
    files = [file.stat().st_size for file in folder.rglob("*") if file.is_file()]
    return {
        "workers": n_workers,
        "trials": n_trials,
        "trials_a_second": n_trials / seconds,
        "suggestion_seconds": median(suggestions),
        "idle_share": workers.idle / (workers.idle + workers.busy),
        "megabytes_resident": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
        "kilobytes_stored_a_trial": sum(files) / n_trials / 1000,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", default="1,8,64,512,4096")
    parser.add_argument("--trials-per-worker", type=int, default=4)
    parser.add_argument("--sampler", default="autopeft")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rungs", default="")
    parser.add_argument("--quick", action="store_true", help="1, 8 and 64 workers")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rungs = tuple(float(rung) for rung in given.rungs.split(",") if rung)
    found = plan(SearchRequest(task="demo", sampler=given.sampler, rungs=rungs, workers=0, space="four_modules"))
    rows = []
    for n_workers in (1, 8, 64) if given.quick else map(int, given.workers.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            n_trials = min(MAX_TRIALS, max(64, given.trials_per_worker * n_workers))
            rows.append(simulate(found, n_workers, n_trials, given.minutes, Path(folder) / "run"))
        row = rows[-1]
        print(LINE.format(**row), flush=True)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
