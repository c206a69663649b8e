"""What a search cost."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from autopeft.study.record import TrialRecord, TrialTime, spent


@dataclass(frozen=True)
class SearchCosts:
    """Sums over all trials that were measured, also at a rung alone. None: the run's version of autopeft did not record it."""

    n_trials: int
    """Trials that have any costs."""
    n_confirmed: int
    """Trials that were trained at the full budget too; the sums hold both trainings."""
    wall_seconds: float | None
    """Time during which at least one trial was under way, so without the hours between a stop and a resume."""
    trial_seconds: float
    """Wall-clock seconds of the trials, those in parallel added up."""
    cpu_seconds: float | None
    gpu_seconds: float | None
    suggestion_seconds: float | None
    """What the sampler took to propose, all trials together."""
    longest_suggestion_seconds: float | None
    examples_seen: int | None
    """Training examples processed, repeats counted."""
    peak_bytes: int | None
    """The most that any trial had in use."""
    began: datetime | None
    """When the first trial was asked for."""
    ended: datetime | None

    @classmethod
    def of(cls, records: Sequence[TrialRecord], times: Sequence[TrialTime]) -> "SearchCosts":
        """Add up."""
        costs = spent(records)
        suggestions = [time.suggestion_seconds for time in times if time.suggestion_seconds is not None]
        return cls(
            n_trials=sum(one.seconds is not None for one in records),
            n_confirmed=sum(one.confirmation is not None and one.confirmation.seconds is not None for one in records),
            wall_seconds=_covered(times),
            trial_seconds=costs.seconds or 0.0,
            cpu_seconds=costs.cpu_seconds,
            gpu_seconds=costs.gpu_seconds,
            suggestion_seconds=sum(suggestions) if suggestions else None,
            longest_suggestion_seconds=max(suggestions, default=None),
            examples_seen=costs.examples_seen,
            peak_bytes=costs.peak_bytes,
            began=min((time.began for time in times), default=None),
            ended=max((time.ended for time in times), default=None),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; moments in ISO 8601."""
        moments = {name: moment and moment.isoformat(timespec="seconds") for name, moment in (("began", self.began), ("ended", self.ended))}
        return asdict(self) | moments


def _covered(times: Sequence[TrialTime]) -> float | None:
    """Return the length of the union of the trials' spans."""
    if not times:
        return None
    covered, until = timedelta(), datetime.min
    for time in sorted(times, key=lambda time: time.began):
        covered += max(timedelta(), time.ended - max(time.began, until))
        until = max(until, time.ended)
    return covered.total_seconds()
