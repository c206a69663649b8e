"""The one loop that keeps an executor busy: searching and retraining run their assignments through it."""

import math
import time
from collections import Counter
from collections.abc import Hashable, Iterator
from typing import Protocol

from autopeft.executors.base import Executor
from autopeft.training.measurement import Assignment, Outcome

MAX_RETRIES = 2
"""Times that an assignment is tried again whose worker died: once may be the machine's fault, three times is the trial's own."""


class Source(Protocol):
    """What says what to do next."""

    @property
    def thinks_ahead(self) -> bool:
        """Whether an assignment may be asked for before the outcome is known that sets a worker free for it."""

    def next_assignment(self) -> Assignment | None:
        """Return what to do now; None if there is nothing until something that runs has ended, or at all."""

    def put_back(self, assignment: Assignment) -> None:
        """Take back what was handed out and never began."""


class Pool:
    """Runs what a source hands out until it has nothing more and nothing runs, or the time is up.

    Where the source thinks ahead, the next assignment is asked for while workers are busy, and held ready: a worker that ends its own
    waits for nothing. It was chosen without the outcome that set the worker free, as if there were one worker more.

    Args:
        executor: Runs the assignments.
        source: Hands them out.
        deadline: When nothing new starts any more, on the monotonic clock.
    """

    def __init__(self, executor: Executor, source: Source, deadline: float = math.inf) -> None:
        self._executor, self._source, self._deadline = executor, source, deadline
        self._n_running = 0
        self._ready: Assignment | None = None
        self._losses: Counter[Hashable] = Counter()

    @property
    def n_handed_out(self) -> int:
        """How many assignments run or are held ready."""
        return self._n_running + (self._ready is not None)

    @property
    def has_time(self) -> bool:
        """Whether the deadline is ahead."""
        return time.monotonic() < self._deadline

    def outcomes(self) -> Iterator[Outcome]:
        """Yield what comes of each assignment, whose worker may have died a few times before; the next is asked for afterwards."""
        while True:
            while self._n_running < self._executor.capacity and self.has_time:
                assignment = self._source.next_assignment()
                if assignment is None:
                    break
                self._start(assignment)
            if not self._n_running:
                break
            if self._executor.works_apart and self._source.thinks_ahead and self._ready is None and self.has_time:
                self._ready = self._source.next_assignment()
            outcome = self._executor.next_outcome()
            if outcome.lost and self._may_try_again(outcome.assignment):
                self._executor.submit(outcome.assignment)
                continue  # it still counts as running
            self._n_running -= 1
            if self._ready is not None and self.has_time:
                self._start(self._ready)
                self._ready = None
            yield outcome
        if self._ready is not None:  # the time was up before a worker was free for it
            self._source.put_back(self._ready)
            self._ready = None

    def _start(self, assignment: Assignment) -> None:
        self._executor.submit(assignment)
        self._n_running += 1

    def _may_try_again(self, assignment: Assignment) -> bool:
        what = (assignment.trial, assignment.configuration.id, assignment.seed, assignment.budget)
        self._losses[what] += 1
        return self._losses[what] <= MAX_RETRIES
