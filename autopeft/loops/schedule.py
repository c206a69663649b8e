"""What a free worker does next: goes on with a paused trial that has earned it, or starts a new one."""

from dataclasses import dataclass

import numpy as np

from autopeft.budget import Budget
from autopeft.rungs.halving import Standing, SuccessiveHalving
from autopeft.study import pauses
from autopeft.study.directory import RunDirectory
from autopeft.study.record import TrialRecord
from autopeft.study.study import Study
from autopeft.training.measurement import Assignment


@dataclass(frozen=True)
class Schedule:
    """The order in which a search's trials are trained, and how far each."""

    thinks_ahead = True
    run: RunDirectory
    study: Study
    budget: Budget
    halving: SuccessiveHalving
    n_trials: int

    def next_assignment(self) -> Assignment | None:
        """Return what to do now; None if there is nothing until a running trial ends, or at all."""
        records = self.study.records()
        standings = [_standing(record, self.study) for record in records]
        number = self.halving.promotion(standings)
        if number is None and sum(not record.is_extra for record in records) - self.study.n_begun < self.n_trials:
            number, configuration, seed = self.study.ask()
            return Assignment(number, configuration, self.budget, seed, self._stops(0))
        if number is None and not any(record.state in ("complete", "running") for record in records):
            number = self.halving.best_waiting(standings)  # of too few to choose from none has earned it, and a search needs one
        return None if number is None else self._continued(next(record for record in records if record.number == number))

    def put_back(self, assignment: Assignment) -> None:
        """Record that a trial which was handed out has not begun."""
        self.study.put_back(assignment.trial)

    def _continued(self, record: TrialRecord) -> Assignment:
        checkpoint = pauses.read(self.run, record.number, record.progress)
        self.study.go_on(record.number)
        stops = self._stops(len(record.rungs))
        return Assignment(record.number, record.configuration, self.budget, record.seed, stops, checkpoint)

    def _stops(self, n_rungs: int) -> tuple[float, ...]:
        """Return where to measure next. Without rungs that is every epoch; with them every measurement has a purpose already."""
        if not self.halving.rungs:
            return self.budget.epoch_ends
        return (self.halving.next_stop(n_rungs),)


def _standing(record: TrialRecord, study: Study) -> Standing:
    losses = study.early_losses(record)
    if record.state == "failed":  # it was on its way to the next rung, and has lost there
        losses.append((np.nan,) * len(study.objectives))
    return Standing(record.number, tuple(losses), waiting=record.state == "paused")
