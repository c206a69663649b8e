"""How much of an objective each parameter explains, by Optuna's estimator."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

SEED = 0
"""Seeds the forest, so that the same trials always give the same importances."""


def importances(rows: Sequence[Mapping[str, int | str]], target: Sequence[float]) -> dict[str, float]:
    """Return the share of a target's variance that each parameter explains by itself, 0 to 1, which sum to 1.

    This is fANOVA (Hutter et al. 2014): a random forest is fitted, and its variance over all values of the other parameters is
    attributed to each parameter's main effect. It has no sign: high and low targets count alike.

    Args:
        rows: The parameters of n trials, all with the same names and at least two values each: ordered ones as whole numbers, others as
            text.
        target: The n finite values to explain, not all equal.
    """
    import optuna  # a report of a few trials has nothing to estimate, and need not wait for it
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances  # it loads scikit-learn and pandas

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    distributions = {name: _distribution([row[name] for row in rows]) for name in rows[0]}
    study = optuna.create_study()
    study.add_trials(
        [optuna.create_trial(params=dict(row), distributions=distributions, value=value) for row, value in zip(rows, target, strict=True)]
    )
    found = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=SEED), target=lambda trial: trial.values[0])
    return {name: float(value) for name, value in found.items()}


def _distribution(values: Sequence[int | str]) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, IntDistribution

    if isinstance(values[0], str):
        return CategoricalDistribution(sorted({str(value) for value in values}))
    return IntDistribution(min(map(int, values)), max(map(int, values)))
