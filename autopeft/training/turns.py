"""Trials in several threads of one process take turns, so that what torch keeps once per process belongs to one of them at a time.

That is the state of the random generators, from which dropout and fresh modules draw, and whatever libraries change for a moment while
modules are put onto a model: warning filters, registries. A thread has its turn for a step of training or a batch of an evaluation, and
gives it away meanwhile where it only computes: in the backward pass, and while it waits for its device. The generators' state is kept
and put back for each, so that a trial draws what it would draw alone.
"""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class TrialStop(BaseException):
    """Ends a trial whose process is to stop; not an `Exception`, so that no trial takes it for an error of its own."""


def random_state(device: torch.device) -> dict[str, torch.Tensor]:
    """Return the state of torch's generators: the processor's, and the device's."""
    state = {"cpu": torch.get_rng_state()}
    if device.type != "cpu":
        state[device.type] = torch.get_device_module(device).get_rng_state(device)
    return state


def set_random_state(state: dict[str, torch.Tensor], device: torch.device) -> None:
    """Go on from what `random_state` returned; a device that it has nothing of keeps its own."""
    torch.set_rng_state(state["cpu"])
    if device.type != "cpu" and device.type in state:
        torch.get_device_module(device).set_rng_state(state[device.type], device)


class Turns:
    """Whose turn it is, in the order in which threads asked for it.

    Args:
        device: What trials run on.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._changed = threading.Condition()
        self._waiting: deque[Turn] = deque()
        self._holder: Turn | None = None
        self._latest: Turn | None = None
        self._stops = False

    def join(self) -> "Turn":
        """Return the part of one more thread."""
        return Turn(self)

    def stop(self) -> None:
        """Have every thread that takes a turn from now on get a `TrialStop`."""
        with self._changed:
            self._stops = True
            self._changed.notify_all()

    def take(self, turn: "Turn") -> bool:
        """Wait for a thread's turn; return whether another thread had one since its latest.

        Raises:
            TrialStop: The process is to stop.
        """
        with self._changed:
            self._waiting.append(turn)
            try:
                self._changed.wait_for(lambda: self._stops or (self._holder is None and self._waiting[0] is turn))
            finally:
                self._waiting.remove(turn)
                self._changed.notify_all()
            if self._stops:
                raise TrialStop
            self._holder = turn
            others = self._latest is not turn
            self._latest = turn
            return others

    def give(self, turn: "Turn") -> None:
        """End a thread's turn, if it has it."""
        with self._changed:
            if self._holder is turn:
                self._holder = None
                self._changed.notify_all()

    @property
    def anyone_waits(self) -> bool:
        """Whether there is a reason to give a turn away: a thread that waits for its own, or a stop."""
        return bool(self._waiting) or self._stops


class Turn:
    """One thread's part in the turns.

    Args:
        turns: What it takes part in; None: it has the process for itself, and nothing here does anything.
    """

    def __init__(self, turns: Turns | None = None) -> None:
        self._turns = turns
        self._random: dict[str, torch.Tensor] | None = None

    def take(self) -> None:
        """Wait for the turn; raises as `Turns.take`."""
        if self._turns is not None and self._turns.take(self) and self._random is not None:
            set_random_state(self._random, self._turns.device)

    def give(self) -> None:
        """End the turn; without having it, do nothing."""
        if self._turns is not None:
            self._random = random_state(self._turns.device)
            self._turns.give(self)

    def pass_on(self) -> None:
        """Let all others go first that wait for their turn."""
        if self._turns is not None and self._turns.anyone_waits:
            self.give()
            self.take()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Let others have their turns within this context, which must leave alone what belongs to the process."""
        self.give()
        try:
            yield
        finally:
            self.take()


ALONE = Turn()
"""For a process that runs one trial at a time."""
