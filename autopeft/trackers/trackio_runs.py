"""Trackio: a group of runs in the project autopeft, one a trial and one of the search. TRACKIO_DIR, TRACKIO_SPACE_ID are heeded."""

from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import trackio

from autopeft.study.record import TrialRecord
from autopeft.trackers.callback import Callback, TrackedSearch, TrackedTrial, front_rows

PROJECT = "autopeft"


class TrackioRuns(Callback):
    """Curves over examples seen and configurations as runs; results over trials and the front in the search's run."""

    def search_started(self, search: TrackedSearch) -> None:
        """Begin the search's run, or go on with it."""
        self._title = f"{search.name}-{search.id}"
        with redirect_stdout(StringIO()):  # it prints where results go
            self._parent = self._run(self._title, {name: str(value) for name, value in search.settings.items()})

    def trial_finished(self, trial: TrackedTrial) -> None:
        """Write a trial's run, and its point of the search."""
        state = {"state": trial.record.state, "on_front": trial.on_front}
        with redirect_stdout(StringIO()):
            run = self._run(f"{self._title}-{trial.record.number:04d}", trial.parameters | state | trial.results)
            for step, values in trial.points:
                run.log(values, step=step)
            run.finish()
            self._parent.log(dict(trial.record.values), step=trial.record.number)

    def search_finished(self, front: Sequence[TrialRecord]) -> None:
        """Write the front, and end the search's run."""
        with redirect_stdout(StringIO()):
            self._parent.log({f"front/{row.pop('trial')}": row for row in front_rows(front)})
            self._parent.finish()

    def _run(self, name: str, config: dict[str, Any]) -> Any:
        return trackio.init(
            PROJECT, name=name, group=self._title, config=config, resume="allow", embed=False, auto_log_gpu=False, auto_log_cpu=False
        )
