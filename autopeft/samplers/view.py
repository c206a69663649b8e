"""What a sampler may know of a space beyond its distributions, and a space seen through that.

Legend: n rows of p parameters (see `grid`), d coordinates, m objectives.
"""

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autopeft.samplers.grid import Grid

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Parameters = dict[str, Any]


@dataclass(frozen=True)
class SpaceHints:
    """Optional knowledge of a space; everything is a function of trials' parameters."""

    valid: Callable[[Parameters], bool] | None = None
    """Whether a point may be proposed."""
    identity: Callable[[Parameters], Hashable] | None = None
    """What a point means: points of one identity are repeats. None: the point must not be proposed."""
    encode: Callable[[Sequence[Parameters]], Array] | None = None
    """Coordinates in [0, 1] of n points, n x d, in place of the distributions' own."""
    flags: Sequence[Sequence[int]] = ()
    """Which of those coordinates are flags of one kind, such as layers: a surrogate then learns how much each counts."""
    features: Callable[[Sequence[Parameters]], Array] | None = None
    """More coordinates of about that size, such as the depth of the lowest layer that is on."""
    neighbours: Callable[[Parameters, np.random.Generator], Sequence[Parameters]] | None = None
    """Points one step away, in place of the distributions' own."""


class Seen(NamedTuple):
    """What is remembered of a row."""

    params: Parameters
    values: list[float]
    """m: the known values, NaN for what is measured or has no value."""
    identity: Hashable
    """None if the point must not be proposed."""


@dataclass
class View:
    """A space as one suggestion sees it; remembers what it worked out of a row."""

    grid: Grid
    known: Mapping[int, Callable[[Parameters], float]]
    """Objectives that follow from the parameters."""
    signs: Sequence[float]
    """m: 1 where smaller is better, else -1."""
    hints: SpaceHints
    tried: Array
    """t x p: what is not to be proposed again."""
    _found: dict[bytes, Seen] = field(default_factory=dict, repr=False)
    """By row."""

    def __post_init__(self) -> None:
        self.taken = set(self._identities(self.tried)) - {None}

    def known_values(self, rows: Array) -> Array:
        """Return n x m known values, NaN for what is measured or has no value."""
        if not self.known:
            return np.full((len(rows), len(self.signs)), np.nan)
        return np.array([self._look(row).values for row in rows], dtype=np.float64).reshape(len(rows), len(self.signs))

    def coordinates(self, rows: Array) -> Array:
        """Return n x d coordinates, features included."""
        if self.hints.encode is None and self.hints.features is None:
            return self.grid.encode(rows)
        points = [self._look(row).params for row in rows]
        base = self.hints.encode(points) if self.hints.encode else self.grid.encode(rows)
        more = [self.hints.features(points)] if self.hints.features else []
        return np.concatenate([base, *more], axis=1)

    @property
    def flag_groups(self) -> tuple[tuple[int, ...], ...]:
        """The coordinates of each group of flags."""
        return tuple(map(tuple, self.hints.flags if self.hints.encode else self.grid.flag_coordinates))

    def allowed(self, rows: Array, *, repeats: bool = False) -> Mask:
        """Return which rows may be proposed: valid, of finite known values, and, unless repeats may be, new."""
        return np.array([one is not None and (repeats or one not in self.taken) for one in self._identities(rows)], dtype=np.bool_)

    def neighbours(self, row: Array, rng: np.random.Generator) -> Array:
        """Return the rows one step away."""
        if self.hints.neighbours is None:
            return self.grid.neighbours(row, rng)
        found = [self.grid.read(params) for params in self.hints.neighbours(self._look(row).params, rng)]
        return np.array(found, dtype=np.float64).reshape(len(found), len(row))

    def _identities(self, rows: Array) -> list[Hashable]:
        """Return what each row means; None for those that must not be proposed."""
        if self.known or self.hints.valid or self.hints.identity:
            return [self._look(row).identity for row in rows]
        # Nothing asks for a trial's parameters, and writing them takes longer than predicting the rows.
        return [place.tobytes() for place in self.grid.places(rows)]

    def _look(self, row: Array) -> Seen:
        key = row.tobytes()
        if key not in self._found:
            params = self.grid.write(row)
            values = [float(self.known[index](params)) if index in self.known else math.nan for index in range(len(self.signs))]
            proposable = all(math.isfinite(values[index]) for index in self.known)
            if self.hints.valid is not None:
                proposable = proposable and self.hints.valid(params)
            self._found[key] = Seen(params, values, self._identity(params, row) if proposable else None)
        return self._found[key]

    def _identity(self, params: Parameters, row: Array) -> Hashable:
        return self.hints.identity(params) if self.hints.identity else self.grid.places(row).tobytes()
