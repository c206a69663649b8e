"""Trials in this very process, one at a time."""

from collections import deque
from functools import cached_property

from autopeft.executors.base import MakeRunner, Runner
from autopeft.training.measurement import Assignment, BackboneFacts, Outcome


class InlineExecutor:
    """Runs a trial when its outcome is asked for.

    Args:
        make_runner: Called once, when it is first needed.
    """

    capacity = 1
    works_apart = False

    def __init__(self, make_runner: MakeRunner) -> None:
        self._make_runner = make_runner
        self._waiting: deque[Assignment] = deque()

    def describe(self) -> BackboneFacts:
        """Load the backbone and return what is known of it."""
        return self._runner.describe()

    def submit(self, assignment: Assignment) -> None:
        """Put a trial in line."""
        self._waiting.append(assignment)

    def next_outcome(self) -> Outcome:
        """Run the trial that is first in line."""
        return self._runner.run(self._waiting.popleft())

    def close(self) -> None:
        """Drop what is in line."""
        self._waiting.clear()

    @cached_property
    def _runner(self) -> Runner:
        return self._make_runner()
