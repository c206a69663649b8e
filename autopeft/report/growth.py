"""How the front grew with what the search spent.

Legend: V(t) is the hypervolume of the front of all trials that had ended when t seconds of training were spent, all trials added up, over
comparable losses (costs as logarithms) up to a reference point a tenth of the spread beyond the worst trial. It is given as a share of the
last one, so it rises to 1 and never falls; where it is flat, trials brought nothing new.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from autopeft.objectives import Objective, comparable_losses
from autopeft.pareto import hypervolume
from autopeft.study.record import TrialRecord, TrialTime

BEYOND = 0.1
"""How far the reference point lies beyond the worst trial, as a share of the spread."""
MAX_STEPS = 300
"""Of longer searches only some steps are worked out."""


@dataclass(frozen=True)
class GrowthStep:
    """The front after a trial."""

    trial: int
    n_trials: int
    """Trials that had ended by then."""
    seconds: float
    """Seconds of training spent by then, all trials added up."""
    hypervolume: float
    """As a share of the last one."""


@dataclass(frozen=True)
class FrontGrowth:
    """The front's hypervolume over cost."""

    steps: tuple[GrowthStep, ...]
    """In the order in which trials ended; empty with fewer than two within the bounds."""

    @classmethod
    def of(cls, records: Sequence[TrialRecord], objectives: Sequence[Objective], times: Sequence[TrialTime]) -> "FrontGrowth":
        """Work it out. Trials that failed or were stopped cost time and bring nothing."""
        ends = {time.number: time.ended for time in times}
        ended = sorted((record for record in records if record.number in ends), key=lambda record: ends[record.number])
        known = [record.state == "complete" and not record.exceeds for record in ended]
        points = comparable_losses(objectives, [record.values for record, is_known in zip(ended, known, strict=True) if is_known])
        good = np.isfinite(points).all(axis=1)
        if good.sum() < 2:
            return cls(())
        spread = np.ptp(points[good], axis=0)
        reference = points[good].max(axis=0) + BEYOND * np.where(spread > 0, spread, 1.0)
        spent = np.cumsum([record.seconds or 0.0 for record in ended])
        n_known = np.cumsum(known)
        last = hypervolume(points, reference)
        chosen = np.unique(np.linspace(0, len(ended) - 1, min(MAX_STEPS, len(ended))).round().astype(int))
        return cls(
            tuple(
                GrowthStep(ended[at].number, at + 1, float(spent[at]), hypervolume(points[: n_known[at]], reference) / last)
                for at in chosen.tolist()
            )
        )

    def words(self) -> str:
        """Say how much of the last front came late."""
        if not self.steps:
            return ""
        total = self.steps[-1].seconds
        half = max((step.hypervolume for step in self.steps if step.seconds <= total / 2), default=0.0)
        late = "still grew much: more trials may bring more" if half < 0.9 else "changed little after: more of the same brings little"
        return f"With half of what was spent the front had {half:.0%} of its hypervolume; it {late}."

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)
