"""Trials in this very process: one at a time, or several in threads."""

from collections import deque
from contextlib import suppress
from functools import cached_property
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

from autopeft.errors import DeviceError
from autopeft.executors.base import MakeRunner, Runner
from autopeft.training.measurement import Assignment, BackboneFacts, Outcome

if TYPE_CHECKING:
    from autopeft.training.turns import Turn

LISTEN_SECONDS = 0.2
"""How long a wait for an outcome may be deaf to Ctrl-C, which not every system lets through to a waiting thread."""


class InlineExecutor:
    """Runs a trial when its outcome is asked for; where the runner takes several at once, all that were submitted, until one ends.

    Trials stand still while nobody waits for an outcome.

    Args:
        make_runner: Called once, when it is first needed.
        device: What trials run on.
    """

    works_apart = False

    def __init__(self, make_runner: MakeRunner, device: str = "auto") -> None:
        self._make_runner, self._device = make_runner, device
        self._waiting: deque[Assignment] = deque()
        self._threads: list[Thread] = []
        self._ended: SimpleQueue[Outcome | BaseException] = SimpleQueue()

    @property
    def capacity(self) -> int:
        """How many assignments run at once."""
        return self.describe().pack

    def describe(self) -> BackboneFacts:
        """Load the backbone and return what is known of it."""
        return self._runner.describe()

    def submit(self, assignment: Assignment) -> None:
        """Put a trial in line."""
        self._waiting.append(assignment)

    def next_outcome(self) -> Outcome:
        """Run the trial that is first in line, or all, and return the first that ends.

        Raises:
            DeviceError: The GPU has failed this process.
        """
        outcome = self._first_outcome()
        if outcome.device_failed:
            remedy = "Go on with --resume; with --workers 1 the process would have been replaced."
            raise DeviceError(f"the GPU can't be used in this process any more: {outcome.error}", remedy=remedy)
        return outcome

    def _first_outcome(self) -> Outcome:
        if self.capacity == 1:
            return self._runner.run(self._waiting.popleft())
        turn = self._turn
        while self._waiting:
            thread = Thread(target=self._run, args=(self._waiting.popleft(),), daemon=True)
            self._threads.append(thread)
            thread.start()
        with turn.away():
            ended = self._wait()
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        if isinstance(ended, BaseException):
            raise ended
        return ended

    def close(self) -> None:
        """Drop what is in line, and stop what is under way."""
        self._waiting.clear()
        if self._threads:
            self._runner.stop()
            self._turn.give()
            for thread in self._threads:
                thread.join()

    def _wait(self) -> Outcome | BaseException:
        while True:
            with suppress(Empty):
                return self._ended.get(timeout=LISTEN_SECONDS)

    def _run(self, assignment: Assignment) -> None:
        try:
            self._ended.put(self._runner.run(assignment))
        except BaseException as error:  # it is raised where the outcome is waited for
            self._ended.put(error)

    @cached_property
    def _runner(self) -> Runner:
        return self._make_runner(self._device)

    @cached_property
    def _turn(self) -> "Turn":
        """This thread's own, which it has whenever it doesn't wait for an outcome: what it draws at random is its own too."""
        turn = self._runner.turns.join()
        turn.take()
        return turn
