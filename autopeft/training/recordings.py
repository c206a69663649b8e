"""Hidden states of whole splits, kept in main memory within a bound."""

from collections import Counter, OrderedDict
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from autopeft.tasks import Encoded


class Key(NamedTuple):
    """What a recording is of."""

    split: int
    """Identity of the split: every worker encodes a split once and keeps it."""
    boundary: int
    """How many blocks lie below the recorded hidden states."""
    precision: torch.dtype | None
    """Type that autocast multiplies in; None without autocast."""


class Recording:
    """What a block puts out for each example of a split.

    Args:
        split: The split.
        output: What the block returned for some of its examples: examples x positions x width, or a tuple that begins with it.
        n_positions: How many positions every example has, where that isn't the split's lengths.
    """

    def __init__(self, split: Encoded, output: Any, n_positions: int | None = None) -> None:
        hidden = output[0] if isinstance(output, tuple) else output
        self.n_positions = n_positions
        self._n_others = len(output) - 1 if isinstance(output, tuple) else None
        lengths = split.lengths if n_positions is None else np.full(len(split), n_positions)
        self._starts = np.concatenate([[0], np.cumsum(lengths)])
        self._split = split  # keeps its identity from being given to another
        with torch.inference_mode(False):
            # Tokens x width, without padding. A tensor made in inference mode could not be trained on later.
            self._rows = torch.empty(int(self._starts[-1]), hidden.shape[-1], dtype=hidden.dtype)

    @property
    def size_bytes(self) -> int:
        """Memory it takes."""
        return self._rows.nbytes

    def write(self, indices: Sequence[int], hidden: Tensor) -> None:
        """Keep the hidden states of some examples, examples x positions x width, padded on the right."""
        for index, states in zip(indices, hidden.cpu(), strict=True):
            start, end = self._starts[index : index + 2]
            self._rows[start:end] = states[: end - start]

    def read(self, indices: Sequence[int], n_positions: int, device: torch.device) -> Any:
        """Return what the block returned, with zeros for padding up to so many positions."""
        n_positions = self.n_positions or n_positions
        hidden = self._rows.new_zeros(len(indices), n_positions, self._rows.shape[1])
        for states, index in zip(hidden, indices, strict=True):
            start, end = self._starts[index : index + 2]
            states[: end - start] = self._rows[start:end]
        return self.shaped(hidden.to(device))

    def shaped(self, hidden: Tensor) -> Any:
        """Return hidden states in the form in which the block returns them."""
        return hidden if self._n_others is None else (hidden, *[None] * self._n_others)


class Shelf:
    """Holds recordings; the one not used for longest goes first.

    Args:
        size_bytes: Memory they may take together.
    """

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._recordings: OrderedDict[Key, Recording] = OrderedDict()
        self.pins: Counter[Key] = Counter()
        """How many trials under way use a recording."""

    @property
    def held_bytes(self) -> int:
        """Memory that the recordings take."""
        return sum(recording.size_bytes for recording in self._recordings.values())

    def get(self, key: Key) -> Recording | None:
        """Return a recording if it is there."""
        if key in self._recordings:
            self._recordings.move_to_end(key)
        return self._recordings.get(key)

    def highest_below(self, key: Key) -> tuple[int, Recording] | None:
        """Return the boundary and the recording of the same examples that is nearest below, if there is one."""
        below = [other for other in self._recordings if other.boundary < key.boundary and other._replace(boundary=key.boundary) == key]
        found = max(below, key=lambda other: other.boundary, default=None)
        return None if found is None else (found.boundary, self._recordings[found])

    def make_room(self, size_bytes: int, pinned: Collection[Key]) -> bool:
        """Drop recordings until so much more fits beside those that must stay; return whether it does.

        Those that other trials use stay as well, beyond the bound if need be: whether a trial's own fit doesn't depend on others.
        """
        free = self._size_bytes - sum(recording.size_bytes for key, recording in self._recordings.items() if key in pinned)
        if size_bytes > free:
            return False
        for key in [key for key in self._recordings if key not in pinned and not self.pins[key]]:
            if self.held_bytes + size_bytes <= self._size_bytes:
                break
            del self._recordings[key]
        return True

    def put(self, key: Key, recording: Recording) -> None:
        """Hold a recording that room was made for."""
        self._recordings[key] = recording
