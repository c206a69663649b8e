"""Which parameters mattered for an objective, which way, and whether that is more than chance.

How much: fANOVA over the trials' ranks (see autopeft.study.importance), so that neither units nor a diverged trial weigh. Copies of the
parameters also enter with their values shuffled between trials; what explains no more than the best of these is chance (the shadow
parameters of Kursa and Rudnicki, 2010). Which way: Spearman's rank correlation, with Holm's correction over the parameters.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import cycle
from statistics import median, median_low
from typing import Any

from autopeft.inference import CONFIDENCE, holm, rank_correlation
from autopeft.objectives import Objective
from autopeft.report.features import Feature, features
from autopeft.report.formatting import one_line
from autopeft.study.importance import importances
from autopeft.study.record import TrialRecord
from autopeft.study.rows import finite

MIN_TRIALS = 10
"""With fewer there is no estimate."""
N_SHADOWS = 19
"""Shuffled copies of parameters: one that has nothing to do with the objective beats them all with a chance of 1 in 20."""
SHADOW_SEED = 0


@dataclass(frozen=True)
class Group:
    """Trials that share a part of a parameter's range."""

    label: str
    n_trials: int
    typical: float
    """Median of the objective over them."""


@dataclass(frozen=True)
class Importance:
    """What one parameter had to do with one objective."""

    parameter: str
    importance: float
    """Share of the order of the trials that it explains by itself, 0 to 1."""
    above_chance: bool
    """Whether that is more than the best shuffled parameter explains."""
    correlation: float | None
    """Spearman's rank correlation with the objective's value; None of a parameter without order."""
    raises: bool | None
    """Whether larger values go with larger values of the objective; None if no direction is significant."""
    helps: bool | None
    """Whether larger values go with better ones: the same for an objective to maximise, the opposite for one to minimise."""
    groups: tuple[Group, Group]
    """Trials with small and with large values; of a parameter without order, those of its best and of its worst value."""


@dataclass(frozen=True)
class Importances:
    """What all parameters had to do with one objective."""

    objective: Objective
    n_trials: int
    progress: float
    """Share of a trial's budget after which the objective was measured."""
    chance: float
    """What the best shuffled parameter explains."""
    parameters: tuple[Importance, ...]
    """The most important first; empty if there are fewer than `MIN_TRIALS` trials or nothing differs."""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return finite(asdict(self) | {"objective": self.objective.name})


def importances_for(records: Sequence[TrialRecord], objective: Objective) -> Importances:
    """Return what mattered for an objective.

    Of a search with rungs it is estimated at the first rung, where all trials were measured alike: those that went on from there were
    picked by their results, which hides what the others lacked.
    """
    progress, measured = _comparable(records, objective)
    found = Importances(objective, len(measured), progress, 0.0, ())
    named = features([record.configuration for record, _ in measured])
    values = [value for _, value in measured]
    if len(measured) < MIN_TRIALS or not named or len(set(values)) == 1:
        return found
    chance, shares = _shares(named, values)
    directions = _directions(named, values)
    parameters = [
        _influence(name, named[name], values, objective, share=share, chance=chance, direction=directions.get(name))
        for name, share in sorted(shares.items(), key=lambda item: -item[1])
    ]
    return Importances(objective, len(measured), progress, chance, tuple(parameters))


def _comparable(records: Sequence[TrialRecord], objective: Objective) -> tuple[float, list[tuple[TrialRecord, float]]]:
    """Return the trials that were measured after the same share of their budget, with their values there, and that share."""
    early = [(record, record.rungs[0]) for record in records if record.rungs and _is_known(record.rungs[0].values[objective.name])]
    if early:
        progress = min(rung.progress for _, rung in early)
        return progress, [(record, rung.values[objective.name]) for record, rung in early if rung.progress == progress]
    complete = [(record, record.values[objective.name]) for record in records if record.state == "complete"]
    return 1.0, [(record, value) for record, value in complete if _is_known(value)]


def _is_known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _shares(named: dict[str, list[Feature]], values: Sequence[float]) -> tuple[float, dict[str, float]]:
    """Return what the best shuffled parameter explains, and what each real one does."""
    rng = random.Random(SHADOW_SEED)
    real = {name: _levels(column) for name, column in named.items()}
    shadows = {f"shadow {index}": rng.sample(column, len(column)) for index, column in zip(range(N_SHADOWS), cycle(real.values()))}
    columns = real | shadows
    rows = [{name: column[row] for name, column in columns.items()} for row in range(len(values))]
    shares = importances(rows, [float(level) for level in _levels(values)])
    return max(shares[name] for name in shadows), {name: shares[name] for name in real}


def _levels(column: Sequence[Feature]) -> list[int | str]:
    """Return numbers as their rank among the distinct ones, text as it is."""
    if isinstance(column[0], str):
        return [str(value) for value in column]
    ranks = {value: rank for rank, value in enumerate(sorted(set(map(float, column))))}
    return [ranks[float(value)] for value in column]


def _directions(named: dict[str, list[Feature]], values: Sequence[float]) -> dict[str, tuple[float, bool]]:
    """Return, for each parameter with an order, its rank correlation with the values, and whether that is significant."""
    found = {name: rank_correlation(list(map(float, column)), values) for name, column in named.items() if not isinstance(column[0], str)}
    corrected = holm([p for _, p in found.values()])
    return {name: (rho, p < 1 - CONFIDENCE) for (name, (rho, _)), p in zip(found.items(), corrected, strict=True)}


def _influence(
    name: str,
    column: Sequence[Feature],
    values: Sequence[float],
    objective: Objective,
    *,
    share: float,
    chance: float,
    direction: tuple[float, bool] | None,
) -> Importance:
    correlation, significant = direction or (None, False)
    raises = correlation > 0 if correlation is not None and significant else None
    helps = None if raises is None else raises == (objective.direction == "maximize")
    groups = _best_and_worst(column, values, objective) if correlation is None else _small_and_large(column, values)
    return Importance(one_line(name), share, share > chance, correlation, raises, helps, groups)


def _small_and_large(column: Sequence[Feature], values: Sequence[float]) -> tuple[Group, Group]:
    """Return the trials of the smaller and of the larger half; that the larger one holds something, it may be less than half."""
    numbers = [float(value) for value in column]
    edge = min(median_low(numbers), max(number for number in numbers if number < max(numbers)))
    upper = min(number for number in numbers if number > edge)
    labels = ("off", "on") if set(numbers) <= {0, 1} else (f"up to {edge:.3g}", f"from {upper:.3g}")
    return _group(labels[0], values, [number <= edge for number in numbers]), _group(
        labels[1], values, [number > edge for number in numbers]
    )


def _best_and_worst(column: Sequence[Feature], values: Sequence[float], objective: Objective) -> tuple[Group, Group]:
    groups = [_group(str(value), values, [one == value for one in column]) for value in sorted(set(map(str, column)))]
    ordered = sorted(groups, key=lambda group: objective.sign * group.typical)
    return ordered[0], ordered[-1]


def _group(label: str, values: Sequence[float], chosen: Sequence[bool]) -> Group:
    some = [value for value, is_in in zip(values, chosen, strict=True) if is_in]
    return Group(one_line(label), len(some), median(some))
