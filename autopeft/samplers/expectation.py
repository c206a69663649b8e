"""What trials would measure on average: a surrogate of a metric at the points that were tried.

A measurement is one training with one seed. The surrogate takes it apart into what similar configurations have in common and noise; the
best of many measurements is too good on average, and lies above what is expected there. It averages over hyper-parameters, which a
proposal's doesn't, for here its deviations are read (benchmarks/RESULTS.md).
"""

from collections.abc import Mapping, Sequence

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from autopeft.samplers.history import shared_space
from autopeft.samplers.problem import SearchProblem
from autopeft.samplers.scale import ObjectiveScale
from autopeft.surrogates.averaged import fit_averaged
from autopeft.surrogates.threads import one_thread

MIN_TRIALS = 16
"""Fewer tell too little of what similar configurations have in common."""


def expectations(
    trials: Sequence[FrozenTrial], objective: int, cost: int | None = None, flags: Sequence[Sequence[str]] | None = None
) -> Mapping[int, tuple[float, float]]:
    """Return the mean and its standard deviation that is expected of each complete trial, by number.

    The mean is over seeds; a single measurement scatters more than its deviation says. Nothing is expected if there are fewer trials than
    `MIN_TRIALS`, or all measured the same.

    Args:
        trials: A study's trials. A parameter that not all finished ones drew from the same distribution is not looked at.
        objective: Index of the value to smooth.
        cost: Index of a value that is exact, and tells of similarity: trainable parameters, on a log scale.
        flags: The names of each group of parameters that are flags of one kind, such as layers. If left out, all on-off integers.
    """
    space = shared_space(trials)
    if not space:
        return {}
    done = [trial for trial in trials if trial.state == TrialState.COMPLETE and np.isfinite(trial.values).all()]
    values = np.array([trial.values for trial in done], dtype=np.float64)
    if len(done) < MIN_TRIALS or not np.ptp(values[:, objective]):
        return {}
    problem, points = SearchProblem(space, flags=flags), [trial.params for trial in done]
    inputs = np.concatenate([problem.encode(points), problem.features(points)], axis=1)
    if cost is not None:
        inputs = np.concatenate([inputs, ObjectiveScale.over(values[:, [cost]], 1.0)(values[:, [cost]])], axis=1)
    with one_thread():
        means, deviations = fit_averaged(inputs, values[:, objective], problem.flag_columns).predict(inputs)
    return {trial.number: (float(mean), float(sd)) for trial, mean, sd in zip(done, means, deviations, strict=True)}
