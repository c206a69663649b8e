"""What runs trials, somewhere, one or several at a time."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from autopeft.training.measurement import Assignment, BackboneFacts, Outcome

if TYPE_CHECKING:
    from autopeft.training.turns import Turns  # and with it torch, which the driver can do without


class Runner(Protocol):
    """Runs trials in the process it was made in; as many threads may do so at once as `describe().pack` says."""

    @property
    def turns(self) -> "Turns":
        """How threads that run trials share what belongs to the process; others that touch it meanwhile must take part."""

    def describe(self) -> BackboneFacts:
        """Return what the driver needs to know of the backbone."""

    def run(self, assignment: Assignment) -> Outcome:
        """Run one trial; what goes wrong in it is part of the outcome."""

    def stop(self) -> None:
        """End what runs in other threads."""


MakeRunner = Callable[[str], Runner]
"""Loads what trials need, in the process that will run them; takes the device, as `autopeft.training.device.pick_device` does."""


class Executor(Protocol):
    """Takes assignments and gives back outcomes in the order in which they end."""

    @property
    def capacity(self) -> int:
        """How many assignments run at once; known when `describe` has returned, and it may change while they run."""

    @property
    def works_apart(self) -> bool:
        """Whether trials go on while the caller does something else."""

    def describe(self) -> BackboneFacts:
        """Wait until a worker has loaded the backbone and return what it knows of it.

        Raises:
            AutopeftError: The model or the data can't be loaded: no trial could ever run.
        """

    def submit(self, assignment: Assignment) -> None:
        """Start a trial; at most `capacity` may be under way."""

    def next_outcome(self) -> Outcome:
        """Wait for the next trial to end and return how it did.

        A worker that dies gives an outcome with an error, and is replaced.
        """

    def close(self) -> None:
        """Stop all workers, finished or not."""
