"""How far a search is: what is done, what runs, what is left and what it will cost."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from autopeft.budget import Budget
from autopeft.loops.confirm import cost_ratio
from autopeft.report.costs import SearchCosts
from autopeft.report.formatting import duration
from autopeft.study.lock import Driver
from autopeft.study.record import TrialRecord
from autopeft.words import plural

State = Literal["running", "stopped", "done"]


@dataclass(frozen=True)
class Running:
    """A trial under way."""

    trial: int
    configuration: str
    """In words."""
    began: datetime | None
    """When it began, or when the process did that goes on with it; local time."""
    progress: float
    """Share of its budget after which it was last measured; 0 before."""
    is_confirmation: bool = False
    """Whether it is trained at the full budget."""


@dataclass(frozen=True)
class SearchStatus:
    """A search at one moment."""

    state: State
    """Stopped: trials are left and nobody runs them."""
    n_done: int
    """Trials that are over or wait at a rung."""
    n_trials: int | None
    """Trials that were asked for; None: the run doesn't say."""
    n_confirmed: int
    """Trials that were trained at the full budget, well or not."""
    n_confirmations: int
    """Trials that are to be."""
    running: tuple[Running, ...]
    seconds_left: float | None
    """What the rest takes if it goes on as so far; None: nothing is left, or nothing is known."""
    cpu_seconds_left: float | None
    at: datetime
    """The moment, in local time."""

    @classmethod
    def of(
        cls,
        settings: Mapping[str, Any],
        records: Sequence[TrialRecord],
        begun: Mapping[int, datetime],
        costs: SearchCosts,
        driver: Driver | None,
        now: datetime,
    ) -> "SearchStatus":
        """Work it out.

        Args:
            settings: The content of run.json.
            records: All trials.
            begun: When each was asked for, in local time.
            costs: What they took.
            driver: The process that drives the run; None: none does.
            now: The moment, in local time.
        """
        asked = settings.get("settings") or {}
        n_trials, limit = ((asked.get(name) or {}).get("value") for name in ("trials", "time_limit"))
        planned = settings.get("confirmations") or {}
        confirmations = [record for record in records if record.confirmation is not None]
        n_confirmed = sum(one.confirmation is not None and one.confirmation.state != "running" for one in confirmations)
        n_confirmations = max(n_confirmed, planned.get("number") or 0)
        under_way = [record for record in records if record.state == "running"] if driver else []
        n_done = sum(record.state != "running" for record in records)
        n_left = max(0, n_trials - n_done) if n_trials else len(under_way)
        # Once nobody drives the run and its trials are done, only complete ones can be confirmed yet: fewer may be than were planned.
        may_be = any(one.state == "complete" and not one.exceeds and one.confirmation is None for one in records)
        is_begun = any(one.confirmation is not None and one.confirmation.state == "running" for one in records)
        is_left = n_left > 0 or (n_confirmed < n_confirmations and (driver is not None or may_be or is_begun))
        # While nobody drives the run, what is left waits; a retraining drives it too.
        state: State = "running" if driver and (under_way or is_left) else "stopped" if is_left else "done"
        since = driver.since if driver else None
        left, cpu_left = None, None
        if state == "running" and (busy := _busy_seconds(settings, records, n_left, n_confirmations - n_confirmed)) and costs.trial_seconds:
            left = busy * (costs.wall_seconds or costs.trial_seconds) / costs.trial_seconds  # trials run beside each other
            cpu_left = None if costs.cpu_seconds is None else busy * costs.cpu_seconds / costs.trial_seconds
        if left is not None and limit and since:
            left = min(left, max(0.0, (since + timedelta(minutes=limit) - now).total_seconds()))
        found = [
            Running(record.number, record.configuration.describe(), _latest(begun.get(record.number), since), record.progress)
            for record in under_way
        ]
        found += [
            Running(record.number, record.configuration.describe(), None, 0.0, is_confirmation=True)
            for record in confirmations
            if driver and record.confirmation is not None and record.confirmation.state == "running"
        ]
        return cls(state, n_done, n_trials, n_confirmed, n_confirmations, tuple(found), left, cpu_left, now)

    @property
    def share(self) -> float | None:
        """Share of the trials and confirmations that are done; None if it isn't known how many there will be."""
        if not self.n_trials:
            return None
        return min(1.0, (self.n_done + self.n_confirmed) / (self.n_trials + self.n_confirmations))

    def words(self) -> str:
        """Say how far the search is."""
        of = f" of {self.n_trials:,}" if self.n_trials else ""
        text = f"{self.n_done:,}{of} {'trial' if (self.n_trials or self.n_done) == 1 else 'trials'} done"
        if self.n_confirmations:
            text += f", {self.n_confirmed} of {plural(self.n_confirmations, 'confirmation')} at the full budget"
        if self.state == "stopped":
            return f"{text}; no process goes on with the rest."
        if self.state == "done":
            return f"{text}."
        text += f", {plural(len(self.running), 'trial')} running"
        if self.seconds_left is None:
            return f"{text}."
        end = self.at + timedelta(seconds=self.seconds_left)
        text += f"; if it goes on like this, {duration(self.seconds_left)} are left, until about {end:%H:%M}"
        return text + (f", and {duration(self.cpu_seconds_left)} of processor time." if self.cpu_seconds_left else ".")

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; moments in ISO 8601."""
        running = [{**asdict(one), "began": one.began and one.began.isoformat(timespec="seconds")} for one in self.running]
        return {**asdict(self), "running": running, "at": self.at.isoformat(timespec="seconds")}


def _latest(*moments: datetime | None) -> datetime | None:
    return max((moment for moment in moments if moment is not None), default=None)


def _busy_seconds(settings: Mapping[str, Any], records: Sequence[TrialRecord], n_trials: int, n_confirmations: int) -> float | None:
    """Return what so many trials and confirmations take, one after another; None before any was measured.

    Until one was confirmed, a confirmation is taken to cost as many trials as it sees times as many examples.
    """
    trials = [record.seconds for record in records if record.seconds is not None and record.state != "running"]
    if not trials:
        return None
    trial = sum(trials) / len(trials)
    confirmed = [one.confirmation.seconds for one in records if one.confirmation is not None and one.confirmation.seconds is not None]
    if confirmed:
        confirmation = sum(confirmed) / len(confirmed)
    elif n_confirmations and settings.keys() >= {"budget", "examples"}:
        confirmation = trial * cost_ratio(Budget.from_dict(settings["budget"]), settings["examples"]["train"])
    else:
        confirmation = 0.0
    return n_trials * trial + n_confirmations * confirmation
