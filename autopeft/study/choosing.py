"""Which trial of a study is trained at the full budget next, or which new point may be worth more."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from autopeft.samplers.full_budget import FullBudgetProposer, Tried
from autopeft.samplers.history import read_history
from autopeft.samplers.partial import ReadEarly
from autopeft.samplers.problem import Parameters
from autopeft.samplers.proposal import Proposer
from autopeft.study.attributes import START
from autopeft.study.problem import SpaceProblem
from autopeft.study.record import TrialRecord, early_loss


def choose(
    trials: Sequence[FrozenTrial],
    records: Sequence[TrialRecord],
    problem: SpaceProblem,
    read_early: ReadEarly,
    seed: int,
    *,
    may_be_new: bool,
    new_costs: float,
) -> int | Parameters | None:
    """Return the number of a trial, or the parameters of a new point that promises more; None if there is neither.

    Args:
        trials: All of the study's.
        records: The same as they are remembered, with their confirmations.
        problem: What is known of points without training.
        read_early: A trial's early measurements.
        seed: The study's; with what was begun so far it decides which new points are looked at.
        may_be_new: Whether a point may be returned.
        new_costs: What a trial at low cost costs, in trainings at the full budget.
    """
    complete, proposer = proposer_of(trials, records, problem, read_early, seed, new_costs)
    found = proposer.choose(may_be_new=may_be_new)
    return complete[found].number if isinstance(found, int) else found


def proposer_of(
    trials: Sequence[FrozenTrial],
    records: Sequence[TrialRecord],
    problem: SpaceProblem,
    read_early: ReadEarly,
    seed: int,
    new_costs: float = 0.0,
) -> tuple[list[FrozenTrial], FullBudgetProposer]:
    """Return the complete trials, and what chooses among them; arguments as of `choose`."""
    known = {record.number: record for record in records}
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    n_begun = sum(record.confirmation is not None for record in records)
    rng = np.random.default_rng([seed, len(records), n_begun])
    signs = [objective.sign for objective in problem.objectives]
    history = read_history(trials, problem.distributions, len(signs), read_early)
    tried = [
        Tried(dict(trial.params), tuple(trial.values), is_known=START in trial.user_attrs, **_more(known[trial.number], problem))
        for trial in complete
    ]
    error = problem.trivial_errors.get(problem.objectives[0].name, 0.0)
    return complete, FullBudgetProposer(Proposer(problem, history, signs, problem.trivial, rng), tried, new_costs, error)


def _more(record: TrialRecord, problem: SpaceProblem) -> dict[str, Any]:
    """Return what a choice must know of a complete trial beside its parameters and values."""
    found = record.confirmation
    return {
        "early": early_loss(record.metrics, problem.early_metrics),
        "full": tuple(found.values[one.name] for one in problem.objectives) if found is not None and found.values else None,
        "runs": found is not None and found.state == "running",
        "is_open": found is None and not record.exceeds,
    }
