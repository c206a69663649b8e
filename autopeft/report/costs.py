"""What a search cost."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from autopeft.study.record import Confirmation, TrialRecord, TrialTime

Number = TypeVar("Number", int, float)


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
        cheap = [record for record in records if record.seconds is not None]
        confirmed = [one.confirmation for one in records if one.confirmation is not None and one.confirmation.seconds is not None]
        measured: list[TrialRecord | Confirmation] = [*cheap, *confirmed]
        suggestions = [time.suggestion_seconds for time in times if time.suggestion_seconds is not None]
        return cls(
            n_trials=len(cheap),
            n_confirmed=len(confirmed),
            wall_seconds=_covered(times),
            trial_seconds=sum(record.seconds or 0.0 for record in measured),
            cpu_seconds=_sum(record.cpu_seconds for record in measured),
            gpu_seconds=_sum(record.gpu_seconds for record in measured),
            suggestion_seconds=_sum(suggestions),
            longest_suggestion_seconds=max(suggestions, default=None),
            examples_seen=_sum(record.examples_seen for record in measured),
            peak_bytes=max((record.peak_bytes for record in measured if record.peak_bytes is not None), default=None),
            began=min((time.began for time in times), default=None),
            ended=max((time.ended for time in times), default=None),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; moments in ISO 8601."""
        moments = {name: moment and moment.isoformat(timespec="seconds") for name, moment in (("began", self.began), ("ended", self.ended))}
        return asdict(self) | moments


def _sum(values: Iterable[Number | None]) -> Number | None:
    found = [value for value in values if value is not None]
    return sum(found[1:], found[0]) if found else None


def _covered(times: Sequence[TrialTime]) -> float | None:
    """Return the length of the union of the trials' spans."""
    if not times:
        return None
    covered, until = timedelta(), datetime.min
    for time in sorted(times, key=lambda time: time.began):
        covered += max(timedelta(), time.ended - max(time.began, until))
        until = max(until, time.ended)
    return covered.total_seconds()
