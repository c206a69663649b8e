"""What the tests of searches share."""

from dataclasses import replace

from autopeft.loops import planning
from autopeft.study.directory import RunDirectory
from autopeft.study.reader import StudyReader
from autopeft.study.record import TrialRecord


class Log:
    """Remembers what a search reported, and can stop it after so many trials."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.records: list[TrialRecord] = []
        self.n_done_at_start = -1
        self._stop_after = stop_after

    def started(self, plan: planning.SearchPlan, run: RunDirectory, n_done: int) -> None:
        self.n_done_at_start = n_done

    def trial_finished(self, record: TrialRecord, on_front: bool, n_done: int, n_trials: int) -> None:
        self.records.append(record)
        if len(self.records) == self._stop_after:
            raise KeyboardInterrupt


def records(run: RunDirectory) -> list[TrialRecord]:
    """Return what is deterministic of a run's trials."""
    return [
        replace(record, seconds=None, train_seconds=None, peak_bytes=None, cpu_seconds=None) for record in StudyReader.open(run).records()
    ]
