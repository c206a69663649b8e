"""Which trials of a process may be under way at once: as many as it has copies of the model, and as memory has room for.

A trial's memory is what it keeps all along, known exactly before it starts, and what its steps take on top. That is measured: the most
that a trial under way has taken so far.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch

from autopeft.training.device import free_bytes, release_memory, used_bytes
from autopeft.training.turns import TrialStop

BYTES_PER_PARAMETER = 16
"""Of a trained one: its value, its gradient and AdamW's two moments, in float32."""
SHARE_TO_FILL = 0.9
"""Of the memory that is free: some is lost between tensors, and some belongs to others on the machine."""

Place = TypeVar("Place")


class MemoryForecast:
    """Whether trials fit into a device's memory together.

    Args:
        device: The device, with the backbone on it and no trial under way.
        must_measure: Whether the first trial has to be measured before another may join it; else any fit until one is.
    """

    def __init__(self, device: torch.device, *, must_measure: bool) -> None:
        self._device, self._must_measure = device, must_measure
        release_memory(device)  # else what loading has freed would count as the backbone's, and a trial's steps as less
        self._base = used_bytes(device)
        self.step_bytes: int | None = None
        """Most bytes that a trial's steps have taken; None before anything was measured."""

    def learn(self, peak_bytes: int, n_trials: int, resident_bytes: int) -> None:
        """Take note of the memory that so many trials took together, as if each kept so much."""
        self.step_bytes = max((peak_bytes - self._base) // n_trials - resident_bytes, self.step_bytes or 0)

    def fits(self, resident_bytes: Sequence[int]) -> bool:
        """Return whether there is room for the last of these trials, all others being under way."""
        if len(resident_bytes) == 1:
            return True
        if self.step_bytes is None:
            return not self._must_measure
        *under_way, new = (resident + self.step_bytes for resident in resident_bytes)
        yet_to_come = max(0, sum(under_way) - (used_bytes(self._device) - self._base))
        return new + yet_to_come <= SHARE_TO_FILL * free_bytes(self._device)


@dataclass(eq=False)
class Seat(Generic[Place]):
    """A trial's permission to be under way."""

    place: Place
    """What it has for itself meanwhile."""
    resident_bytes: int
    most: int
    """Most trials that may be under way with it, itself counted."""
    n_packed: int = 1
    """Most trials that have been so far."""


class Seats(Generic[Place]):
    """Gives out places in the order in which they are asked for.

    Args:
        places: What trials have for themselves, one each.
        fits: Whether there is room for the last of some trials beside the others, by the bytes that each keeps.
    """

    def __init__(self, places: Sequence[Place], fits: Callable[[Sequence[int]], bool]) -> None:
        self._free = list(reversed(places))  # the first goes first
        self._fits = fits
        self._changed = threading.Condition()
        self._line: deque[object] = deque()
        self._taken: list[Seat[Place]] = []
        self._stops = False

    def take(self, resident_bytes: int, most: int) -> Seat[Place]:
        """Wait for a place.

        Args:
            resident_bytes: What the trial keeps all along.
            most: With how many it may be under way at most, itself counted.

        Raises:
            TrialStop: The process is to stop.
        """
        with self._changed:
            ticket = object()
            self._line.append(ticket)
            try:
                self._changed.wait_for(lambda: self._stops or (self._line[0] is ticket and self._has_room(resident_bytes, most)))
                if self._stops:
                    raise TrialStop
                seat = Seat(self._free.pop(), resident_bytes, most)
                self._taken.append(seat)
                for one in self._taken:
                    one.n_packed = max(one.n_packed, len(self._taken))
                return seat
            finally:
                self._line.remove(ticket)
                self._changed.notify_all()

    def leave(self, seat: Seat[Place]) -> None:
        """Give a place back."""
        with self._changed:
            self._taken.remove(seat)
            self._free.append(seat.place)
            self._changed.notify_all()

    def stop(self) -> None:
        """Have every thread that waits for a place get a `TrialStop`."""
        with self._changed:
            self._stops = True
            self._changed.notify_all()

    def _has_room(self, resident_bytes: int, most: int) -> bool:
        """Return whether a trial may join those under way: none of them, nor it, wants less company, and memory has room."""
        n = len(self._taken) + 1
        return (
            bool(self._free)
            and n <= min([most, *(seat.most for seat in self._taken)])
            and self._fits([*(seat.resident_bytes for seat in self._taken), resident_bytes])
        )
