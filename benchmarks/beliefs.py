"""What a search believes of the full budget, and what came of it: over the confirmed trials of finished runs.

    python benchmarks/beliefs.py RUN [RUN ...] [--draws 30] [--json FILE]

A run with many confirmations is made by going on with it: `autopeft search --resume RUN --confirm 16`. Some of a run's confirmed trials
are taken to be known, drawn at random; the others' confirmations are hidden. Printed is the mean rank correlation (Spearman) of what the
search then expects of their first objective at the full budget with what it was there, beside that of the low-cost value alone and, as a
limit, how far the value of the trial that is expected to be best lies below the best of them.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.trial import FrozenTrial
from scipy.stats import spearmanr

from autopeft.loops.planning import plan
from autopeft.request import SearchRequest
from autopeft.samplers.partial import nothing_early
from autopeft.study.choosing import proposer_of
from autopeft.study.directory import RunDirectory
from autopeft.study.problem import SpaceProblem
from autopeft.study.reader import STUDY_NAME, StudyReader
from autopeft.study.record import TrialRecord

KNOWN = (0, 2, 4, 8)
MIN_HIDDEN = 4
"""Ranks of fewer say nothing."""

Array = NDArray[np.float64]


class Run:
    """A finished run, whose confirmations can be hidden."""

    def __init__(self, path: Path) -> None:
        run = RunDirectory.open(path)
        request = SearchRequest.from_settings(run.asked())
        self._problem: SpaceProblem = plan(request).problem
        self._seed = request.seed
        self._trials: Sequence[FrozenTrial] = optuna.load_study(study_name=STUDY_NAME, storage=f"sqlite:///{run.storage_path}").trials
        self._records = StudyReader.open(run).records()
        self.confirmed = [record for record in self._records if record.confirmed]

    def low(self, some: Sequence[TrialRecord]) -> Array:
        """Return the losses of trials at low cost."""
        first = self._problem.objectives[0]
        return np.array([first.sign * record.values[first.name] for record in some])

    def full(self, some: Sequence[TrialRecord]) -> Array:
        """Return the losses of confirmed trials at the full budget."""
        first = self._problem.objectives[0]
        return np.array([first.sign * one.confirmation.values[first.name] for one in some if one.confirmation is not None])

    def expected(self, known: Sequence[TrialRecord], some: Sequence[TrialRecord]) -> Array:
        """Return what is expected of trials at the full budget, up to its scale, if only the known ones are confirmed."""
        kept = {record.number for record in known}
        records = [record if record.number in kept else replace(record, confirmation=None) for record in self._records]
        complete, proposer = proposer_of(self._trials, records, self._problem, nothing_early, self._seed)
        wanted = {record.number for record in some}
        points = [dict(trial.params) for trial in complete if trial.number in wanted]
        return proposer.predict(points)[0][:, 0]


def found(run: Run, n_known: int, draws: int) -> tuple[float, float, float]:
    """Return the mean correlations of what is expected and of the low-cost value, and how far the best expected lies below the best."""
    rng, rows = np.random.default_rng(0), []
    for _ in range(draws if n_known else 1):
        order = [run.confirmed[place] for place in rng.permutation(len(run.confirmed))]
        known, hidden = order[:n_known], sorted(order[n_known:], key=lambda record: record.number)
        expected, full = run.expected(known, hidden), run.full(hidden)
        shortfall = full[np.argmin(expected)] - full.min()
        rows.append((spearmanr(expected, full)[0], spearmanr(run.low(hidden), full)[0], shortfall))
    expected_rank, low_rank, shortfall = np.mean(rows, axis=0).tolist()
    return expected_rank, low_rank, shortfall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--draws", type=int, default=30)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows = []
    for path in given.runs:
        run = Run(path)
        for n_known in KNOWN:
            if len(run.confirmed) - n_known < MIN_HIDDEN:
                continue
            expected, low, shortfall = found(run, n_known, given.draws)
            rows.append({"run": str(path), "confirmed": len(run.confirmed), "known": n_known, "expected": expected, "low_cost": low})
            print(
                f"{path}: {n_known} of {len(run.confirmed)} known; rank correlation of what is expected {expected:.2f}, of the low-cost "
                f"value {low:.2f}; the best expected lies {shortfall:.4f} below the best",
                flush=True,
            )
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
