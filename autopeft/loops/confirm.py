"""The last part of a search: chosen configurations at the full budget, so that what it hands over was measured there.

A confirmation is the training that `retrain` begins with: all training data, its epochs, the seed 0, the best epoch on validation data.
Test examples are not even loaded.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from autopeft.budget import Budget
from autopeft.configuration import Configuration
from autopeft.study.record import CONFIRMATION_SEED, TrialRecord
from autopeft.training.measurement import Assignment

if TYPE_CHECKING:
    from autopeft.study.study import Study

SHARE = 1 / 3
"""Of a search's whole cost that confirmations take, about."""
LEAST, OF_TRIALS = 2, 8
"""A search of so many trials confirms at least so many where they cost no more than all trials, and at least one where that one doesn't."""


def default_number(n_trials: int, low_cost: Budget, n_train: int) -> int:
    """Return how many trials a search confirms if nobody says.

    Args:
        n_trials: How many it tries at low cost.
        low_cost: What each of those spends.
        n_train: Training examples that there are.
    """
    ratio = cost_ratio(low_cost, n_train)
    if ratio <= 1 or ratio > n_trials:  # nothing more to learn, or more than all the rest
        return 0
    found = int(n_trials * SHARE / (1 - SHARE) / ratio)
    return max(found, LEAST if LEAST * ratio <= n_trials else 1) if n_trials >= OF_TRIALS else found


def cost_ratio(low_cost: Budget, n_train: int) -> float:
    """Return how many times as many examples a training at the full budget sees as one at low cost."""
    examples = n_train if low_cost.train_examples is None else min(low_cost.train_examples, n_train)
    return n_train * low_cost.full().epochs / (examples * low_cost.epochs)


@dataclass(frozen=True)
class Confirmations:
    """Which trials are trained at the full budget, one chosen after another.

    A point that nobody tried may promise more than all that were. It is first tried at low cost, one at most for each confirmation, and is
    then chosen from like all others.
    """

    thinks_ahead = False
    """An outcome at the full budget is worth waiting for."""

    study: "Study"
    low_cost: Budget
    n_train: int
    n_most: int
    """How many may be begun, those of an interrupted search counted."""

    def next_assignment(self) -> Assignment | None:
        """Return a confirmation, or a new point's trial; None if there is nothing until one that runs has ended, or at all."""
        if (begun := self.study.propose()) is not None:
            return self._trial(*begun)
        if (again := self.study.confirm_again()) is not None:
            return self._confirmation(again)
        records = self.study.records()
        n_begun, extra = sum(one.confirmation is not None for one in records), [one for one in records if one.is_extra]
        n_left = self.n_most - n_begun
        if n_left <= sum(one.state == "running" for one in extra):  # what is being tried now is chosen from then
            return None
        new_costs = 1 / cost_ratio(self.low_cost, self.n_train)
        chosen = self.study.choose_to_confirm(may_be_new=len(extra) < n_begun, new_costs=new_costs)
        if isinstance(chosen, dict):
            proposed = self.study.propose(chosen)
            assert proposed is not None, "a point that is given is proposed"
            return self._trial(*proposed)
        return next((self._confirmation(one) for one in records if one.number == chosen), None)

    def put_back(self, assignment: Assignment) -> None:
        """Do nothing: nothing is held ready."""

    def _trial(self, number: int, configuration: Configuration, seed: int) -> Assignment:
        return Assignment(number, configuration, self.low_cost, seed, self.low_cost.epoch_ends)

    def _confirmation(self, record: TrialRecord) -> Assignment:
        self.study.begin_confirmation(record.number)
        budget = self.low_cost.full()
        patience = max(1.0, cost_ratio(self.low_cost, self.n_train))
        return Assignment(
            record.number, record.configuration, budget, CONFIRMATION_SEED, budget.epoch_ends, keeps_best=True, patience=patience
        )
