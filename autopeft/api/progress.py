"""What hears how a call goes on, for its `progress` argument."""

from collections.abc import Iterator
from contextlib import contextmanager

from autopeft.loops import retrain as retraining
from autopeft.loops import search as engine
from autopeft.loops.planning import SearchPlan
from autopeft.report.output import make_output
from autopeft.report.progress import ConsoleProgress
from autopeft.report.training_progress import RetrainProgress
from autopeft.study.directory import RunDirectory
from autopeft.study.record import TrialRecord
from autopeft.study.retrained import Candidate, SeedResult


class SilentSearch:
    """A search's progress that nobody looks at."""

    def started(self, plan: SearchPlan, run: RunDirectory, n_done: int) -> None:
        """Say nothing."""

    def trial_finished(self, record: TrialRecord, on_front: bool, n_done: int, n_trials: int) -> None:
        """Say nothing."""

    def trial_confirmed(self, record: TrialRecord, on_front: bool, n_done: int, n_total: int) -> None:
        """Say nothing."""


class Silent:
    """A retraining's progress that nobody looks at."""

    def started(self, plan: retraining.RetrainPlan, n_done: int, n_total: int) -> None:
        """Say nothing."""

    def seed_finished(self, candidate: Candidate, seed: int, outcome: SeedResult | str, n_done: int, n_total: int) -> None:
        """Say nothing."""


@contextmanager
def search_progress(progress: bool | engine.Progress) -> Iterator[engine.Progress]:
    """Lend what hears of a search's trials: the caller's own, what prints, or what is silent."""
    if not isinstance(progress, bool):
        yield progress
    elif not progress:
        yield SilentSearch()
    else:
        listener = ConsoleProgress(make_output())
        try:
            yield listener
        except KeyboardInterrupt:
            listener.stopped()
            raise
        finally:
            listener.end()


@contextmanager
def training_progress(progress: bool | retraining.Progress) -> Iterator[retraining.Progress]:
    """Lend what hears of trainings with all data: the caller's own, what prints, or what is silent."""
    if not isinstance(progress, bool):
        yield progress
    elif not progress:
        yield Silent()
    else:
        listener = RetrainProgress(make_output())
        try:
            yield listener
        finally:
            listener.stop()
