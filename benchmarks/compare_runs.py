"""What rungs save on real trials: finished runs with them against runs without, pair by pair of the same seed.

    python benchmarks/compare_runs.py --without runs/off_0 runs/off_1 runs/off_2 --with runs/on_0 runs/on_1 runs/on_2

Runs such as `autopeft search --task sst2 --trials 32 --workers 1 --seed 0`, with `--rungs 0.33 --reduction 2` and without. Cost is training
examples seen, which no other work on the machine changes. The mark is the hypervolume that the run without rungs has in the end: the first
objective up from the worst that either run measured, parameters down on a log scale. A stopped trial costs and is never on a front.
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, pstdev

import numpy as np
from numpy.typing import NDArray

from autopeft.objectives import losses
from autopeft.pareto import hypervolume, non_dominated
from autopeft.study.directory import RunDirectory
from autopeft.study.reader import StudyReader
from autopeft.study.record import TrialRecord

Array = NDArray[np.float64]
Course = list[tuple[int, float]]
"""After each trial that ended, the examples seen so far and the hypervolume reached."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--without", type=Path, nargs="+", required=True)
    parser.add_argument("--with", dest="rungs", type=Path, nargs="+", required=True)
    given = parser.parse_args()
    at_mark, at_third, at_end, spent = [], [], [], []
    for without, rungs in zip(given.without, given.rungs, strict=True):
        off, on = courses(without, rungs)
        total, mark = off[-1]
        at_mark.append(min((cost / total for cost, volume in on if volume >= mark), default=math.inf))
        at_third.append(reached(on, total / 3) / mark)
        at_end.append(reached(on, total) / mark)
        spent.append(on[-1][0] / total)
        alone = min(cost / total for cost, volume in off if volume >= mark)
        third = reached(off, total / 3) / mark
        print(f"{rungs}: mark reached at {at_mark[-1]:.2f} of the cost (without rungs at {alone:.2f}), ", end="")
        print(f"after a third {at_third[-1]:.3f} (without {third:.3f}), at the end {at_end[-1]:.3f}, all its trials cost {spent[-1]:.2f}")
    for name, values in (("after a third", at_third), ("at the end", at_end), ("cost of all trials", spent)):
        print(f"{name:<20} {mean(values):.3f} ± {pstdev(values):.3f}")


def courses(*paths: Path) -> list[Course]:
    """Return the course of each of two runs, measured against the same worst point."""
    found = [trials(path) for path in paths]
    points = [loss for run in found for _, loss in run if loss is not None]
    worst = np.max(points, axis=0)
    return [course(run, worst) for run in found]


def trials(path: Path) -> list[tuple[int, Array | None]]:
    """Return, in the order in which a run's trials ended, the examples that each saw, and its losses unless it was stopped."""
    study = StudyReader.open(RunDirectory.open(path))
    ended = {time.number: time.ended for time in study.times()}
    over: Sequence[TrialRecord] = sorted((one for one in study.records() if one.number in ended), key=lambda one: ended[one.number])
    first = study.objectives[0]
    result: list[tuple[int, Array | None]] = []
    for one in over:
        loss = None
        if one.state == "complete":
            loss = np.array([losses([first], [one.values])[0][0], math.log10(max(1, one.trainable_parameters or 1))])
        result.append((one.examples_seen or 0, loss))
    return result


def course(found: Sequence[tuple[int, Array | None]], worst: Array) -> Course:
    """Return a run's course."""
    points: list[Array] = []
    spent, result = 0, []
    for examples, loss in found:
        spent += examples
        if loss is not None:
            points.append(loss)
        inside = np.array([point for point in points if (point < worst).all()]).reshape(-1, 2)
        result.append((spent, hypervolume(inside[non_dominated(inside)], worst) if len(inside) else 0.0))
    return result


def reached(found: Course, cost: float) -> float:
    """Return the hypervolume reached with so many examples."""
    return max((volume for spent, volume in found if spent <= cost), default=0.0)


if __name__ == "__main__":
    main()
