"""Hidden states of whole splits, kept in main memory within a bound."""

from collections import Counter, OrderedDict
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from autopeft.tasks import Encoded


class CacheKey(NamedTuple):
    """What a cache entry is of."""

    split: int
    """Identity of the split: every worker encodes a split once and keeps it."""
    boundary: int
    """How many blocks lie below the cached hidden states."""
    precision: torch.dtype | None
    """Type that autocast multiplies in; None without autocast."""


class CachedActivations:
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


class ActivationCache:
    """Holds entries; the one not used for longest goes first.

    Args:
        size_bytes: Memory they may take together.
    """

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._entries: OrderedDict[CacheKey, CachedActivations] = OrderedDict()
        self.pins: Counter[CacheKey] = Counter()
        """How many trials under way use an entry."""

    @property
    def held_bytes(self) -> int:
        """Memory that the entries take."""
        return sum(entry.size_bytes for entry in self._entries.values())

    def get(self, key: CacheKey) -> CachedActivations | None:
        """Return an entry if it is there."""
        if key in self._entries:
            self._entries.move_to_end(key)
        return self._entries.get(key)

    def highest_below(self, key: CacheKey) -> tuple[int, CachedActivations] | None:
        """Return the boundary and the entry of the same examples that is nearest below, if there is one."""
        below = [other for other in self._entries if other.boundary < key.boundary and other._replace(boundary=key.boundary) == key]
        found = max(below, key=lambda other: other.boundary, default=None)
        return None if found is None else (found.boundary, self._entries[found])

    def make_room(self, size_bytes: int, pinned: Collection[CacheKey]) -> bool:
        """Drop entries until so much more fits beside those that must stay; return whether it does.

        Those that other trials use stay as well, beyond the bound if need be: whether a trial's own fit doesn't depend on others.
        """
        free = self._size_bytes - sum(entry.size_bytes for key, entry in self._entries.items() if key in pinned)
        if size_bytes > free:
            return False
        for key in [key for key in self._entries if key not in pinned and not self.pins[key]]:
            if self.held_bytes + size_bytes <= self._size_bytes:
                break
            del self._entries[key]
        return True

    def put(self, key: CacheKey, entry: CachedActivations) -> None:
        """Hold an entry that room was made for."""
        self._entries[key] = entry
