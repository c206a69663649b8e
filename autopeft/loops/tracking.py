"""Passes on how a search goes: to whoever looks on, and to trackers and callbacks, none of which can end it."""

import hashlib
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from operator import methodcaller
from typing import TYPE_CHECKING, Any

from autopeft.errors import InvalidInputError
from autopeft.forms import read_json
from autopeft.paths import command
from autopeft.study.directory import RunDirectory, write_atomically
from autopeft.study.record import TrialRecord, front, is_on_front
from autopeft.trackers.callback import Callback, TrackedSearch, TrackedTrial

if TYPE_CHECKING:
    from autopeft.loops.planning import SearchPlan
    from autopeft.loops.search import Progress


class TrackingWarning(UserWarning):
    """A tracker or a callback failed."""


TRACKED = "tracked.json"
"""The file of a run that says which trials each tracker has."""


class Tracking:
    """A search's progress that trackers and callbacks hear too.

    A tracker gets each trial once, whenever it is named: those that were over before, too. Other callbacks hear of trials that end now.

    Args:
        progress: Hears everything first.
        trackers: By name.
        callbacks: Anybody's own.
    """

    def __init__(self, progress: "Progress", trackers: Mapping[str, Callback], callbacks: Sequence[Callback] = ()) -> None:
        self._progress = progress
        self._hear: dict[str, Callback] = {**trackers, **{f"callback {type(one).__name__}": one for one in callbacks}}
        self._trackers = set(trackers)
        self._has: dict[str, set[int]] = {name: set() for name in self._hear}
        """By who hears, the trials that it has."""
        self._run: RunDirectory | None = None

    def started(self, plan: "SearchPlan", run: RunDirectory, n_done: int) -> None:
        """Pass on that a search begins, or goes on."""
        self._progress.started(plan, run, n_done)
        self._run, self._objectives = run, plan.objectives
        settings = run.settings("settings", "name", "created")
        values = {name: entry["value"] for name, entry in settings["settings"].items()}
        digest = hashlib.sha256(f"{settings['name']} {settings['created']}".encode()).hexdigest()[:12]
        self._each(lambda one: one.search_started(TrackedSearch(settings["name"], digest, run.path, values, plan.objectives)))

    def catch_up(self, records: Sequence[TrialRecord]) -> None:
        """Give trackers what they lack of the trials that are over already."""
        assert self._run is not None
        written = _read(self._run)
        for name in self._hear:
            self._has[name] = set(written.get(name, ())) if name in self._trackers else {one.number for one in records if one.is_over}
        self._pass_on(records)

    def trial_finished(self, record: TrialRecord, on_front: bool, n_done: int, n_trials: int) -> None:
        """Pass on that a trial ended or pauses."""
        self._progress.trial_finished(record, on_front, n_done, n_trials)
        if record.is_over:
            self._pass_on([record], on_front)

    def trial_confirmed(self, record: TrialRecord, on_front: bool, n_done: int, n_total: int) -> None:
        """Pass on that a trial's training at the full budget ended; trackers have its low-cost training."""
        self._progress.trial_confirmed(record, on_front, n_done, n_total)

    def ended(self, records: Sequence[TrialRecord]) -> None:
        """Pass on that the search ends, and which trials were stopped with it."""
        self._pass_on(records)
        best = front(records, self._objectives)
        self._each(lambda one: one.search_finished(best))

    def _pass_on(self, records: Sequence[TrialRecord], on_front: bool | None = None) -> None:
        for record in (one for one in records if one.is_over):
            if all(record.number in self._has[name] for name in self._hear):
                continue
            is_best = is_on_front(record, records, self._objectives) if on_front is None else on_front
            trial = TrackedTrial(record, self._curve(record.number), is_best)
            self._each(methodcaller("trial_finished", trial), record.number)
        self._write()

    def _each(self, call: Callable[[Callback], None], number: int | None = None) -> None:
        for name, one in list(self._hear.items()):
            if number is not None and number in self._has[name]:
                continue
            try:
                call(one)
            except Exception as error:  # whatever a server, a disk or somebody's code does
                del self._hear[name]
                warnings.warn(self._failed(name, error), TrackingWarning, stacklevel=2)
            else:
                self._has[name] |= set() if number is None else {number}

    def _failed(self, name: str, error: Exception) -> str:
        reason = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
        assert self._run is not None
        again = f" Go on with it later: {command('search', '--resume', self._run.path, '--track', name)}" if name in self._trackers else ""
        return f"{name} failed and hears no more of this search, which goes on: {type(error).__name__}: {reason}.{again}"

    def _curve(self, number: int) -> tuple[Mapping[str, Any], ...]:
        assert self._run is not None
        path = self._run.trial_path(number) / "curve.jsonl"
        try:
            return tuple(map(json.loads, path.read_text(encoding="utf-8").splitlines())) if path.is_file() else ()
        except ValueError:  # it was cut or edited
            return ()

    def _write(self) -> None:
        assert self._run is not None
        if self._trackers:
            written = _read(self._run) | {name: sorted(self._has[name]) for name in sorted(self._trackers)}
            with suppress(OSError):  # a full disk: that must not be why a search ends
                write_atomically(self._run.path / TRACKED, json.dumps(written).encode())


def _read(run: RunDirectory) -> dict[str, list[int]]:
    try:
        found: dict[str, list[int]] = read_json(run.path / TRACKED, dict[str, list[int]])
    except InvalidInputError:  # lost or torn: a tracker that has a trial twice is better than a search that ends
        return {}
    return found
