"""The Pareto front of what a Tuner found."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from autopeft.objectives import Objective
from autopeft.pareto import non_dominated
from autopeft.ray_tune.results import share_done, values_of


def front(results: Iterable[Any], objectives: Sequence[Objective]) -> list[Any]:
    """Return the results that no other dominates, in rising order of the last objective.

    Trials that failed or were stopped before their end are left out, since what they reported last is no final value.

    Args:
        results: A `ResultGrid`, or some of its results.
        objectives: What is traded off.
    """
    found = [(result, values_of(result.metrics or {}, objectives)) for result in results if result.error is None]
    whole = [(result, values) for result, values in found if values is not None and share_done(result.metrics) >= 1]
    signs = [objective.sign for objective in objectives]
    losses = np.array([values for _, values in whole], dtype=np.float64).reshape(len(whole), len(objectives)) * signs
    best = [result for (result, _), kept in zip(whole, non_dominated(losses), strict=True) if kept]
    return sorted(best, key=lambda result: objectives[-1].sign * float(result.metrics[objectives[-1].name]))
