"""How a set of insertion layers is written as parameters: layer by layer, or by a rule with few of them.

Legend: L layers of the backbone, numbered from 0 at the input; the head sits on layer L - 1.

| rule | parameters | layers | sets |
|---|---|---|---|
| mask | a flag for each layer | any | 2^L |
| weighted | a flag for each layer | any; all, and the k nearest the head, are drawn as often as free sets | 2^L |
| span | first f, length n | f to f + n - 1, cut off at the end | L (L + 1) / 2 |
| top | k | the k nearest the head | L |
| every | stride s up to S, offset o | o, o + s, o + 2s, ...; o is at most s - 1 | S (S + 1) / 2, S = (L + 1) / 2 rounded down |
| all | none | all | 1 |
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Literal, Protocol

import numpy as np

from autopeft.configuration import Scalar
from autopeft.space.parameter import Ordinal

Layers = tuple[int, ...]
LayerRule = Literal["mask", "weighted", "span", "top", "every", "all"]


class LayerSet(Protocol):
    """A set of layers under one rule."""

    @property
    def parameters(self) -> tuple[Ordinal, ...]:
        """What is searched."""

    @property
    def flags(self) -> tuple[str, ...]:
        """The names of those of its parameters that each stand for one layer, on or off."""

    @property
    def size(self) -> int:
        """Number of different sets."""

    def layers(self, point: Mapping[str, Scalar]) -> Layers:
        """Return the layers that a point names, rising."""

    def canonical(self, point: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """Return the set's parameters, the same for all points that name the same layers."""

    def moves(self, point: Mapping[str, Scalar], rng: np.random.Generator) -> list[dict[str, Scalar]]:
        """Return parameters of sets one step away that take more than one parameter's change."""

    def sample(self, rng: np.random.Generator) -> dict[str, Scalar]:
        """Draw the parameters of a set."""

    def fewest(self) -> list[dict[str, Scalar]]:
        """Return the parameters of the sets of fewest layers that aren't empty."""

    def nearest(self, layers: Layers) -> dict[str, Scalar]:
        """Return the parameters of the set that differs from the given layers in fewest."""


def layer_set(rule: LayerRule, prefix: str, n_layers: int) -> LayerSet:
    """Return a set of layers; its parameters' names start with the prefix."""
    return _RULES[rule](prefix, n_layers)


@dataclass(frozen=True)
class _Rule(ABC):
    prefix: str
    n_layers: int

    @property
    @abstractmethod
    def parameters(self) -> tuple[Ordinal, ...]: ...

    @property
    def flags(self) -> tuple[str, ...]:
        return ()

    @abstractmethod
    def layers(self, point: Mapping[str, Scalar]) -> Layers: ...

    @abstractmethod
    def canonical(self, point: Mapping[str, Scalar]) -> dict[str, Scalar]: ...

    def moves(self, point: Mapping[str, Scalar], rng: np.random.Generator) -> list[dict[str, Scalar]]:
        return []

    def sample(self, rng: np.random.Generator) -> dict[str, Scalar]:
        return {parameter.name: parameter.sample(rng) for parameter in self.parameters}

    def fewest(self) -> list[dict[str, Scalar]]:
        counts = [len(self.layers(point)) for point in self._points()]
        return [point for point, n in zip(self._points(), counts, strict=True) if n == min(counts)]

    def nearest(self, layers: Layers) -> dict[str, Scalar]:
        return min(self._points(), key=lambda point: len(set(self.layers(point)) ^ set(layers)))

    def _points(self) -> list[dict[str, Scalar]]:
        """Return every set once."""
        names = [parameter.name for parameter in self.parameters]
        values = product(*(parameter.values for parameter in self.parameters))
        points: list[dict[str, Scalar]] = [dict(zip(names, one, strict=True)) for one in values]
        return [point for point in points if self.canonical(point) == point]

    def _ordinal(self, name: str, first: int, last: int) -> Ordinal:
        return Ordinal(f"{self.prefix}layers.{name}", tuple(range(first, last + 1)))


class _Mask(_Rule):
    @cached_property
    def parameters(self) -> tuple[Ordinal, ...]:
        return tuple(self._ordinal(str(layer), 0, 1) for layer in range(self.n_layers))

    @property
    def flags(self) -> tuple[str, ...]:
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def size(self) -> int:
        return int(2**self.n_layers)

    def layers(self, point: Mapping[str, Scalar]) -> Layers:
        return tuple(layer for layer, name in enumerate(self._names) if point[name])

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(flag.name for flag in self.parameters)

    def canonical(self, point: Mapping[str, Scalar]) -> dict[str, Scalar]:
        return {flag.name: point[flag.name] for flag in self.parameters}

    def moves(self, point: Mapping[str, Scalar], rng: np.random.Generator) -> list[dict[str, Scalar]]:
        """Hand each layer that is on to one that is off, drawn at random: all pairs would be too many in a deep model."""
        on = self.layers(point)
        off = sorted(set(range(self.n_layers)) - set(on))
        if not off:
            return []
        names = [flag.name for flag in self.parameters]
        return [{names[layer]: 0, names[off[int(rng.integers(len(off)))]]: 1} for layer in on]

    def sample(self, rng: np.random.Generator) -> dict[str, Scalar]:
        """Draw how many layers are on, then which: few and many are as frequent."""
        n_on = int(rng.integers(1, self.n_layers + 1))
        return self.nearest(tuple(rng.permutation(self.n_layers)[:n_on].tolist()))

    def fewest(self) -> list[dict[str, Scalar]]:
        return [self.nearest((layer,)) for layer in range(self.n_layers)]

    def nearest(self, layers: Layers) -> dict[str, Scalar]:
        return {flag.name: int(layer in layers) for layer, flag in enumerate(self.parameters)}


class _Weighted(_Mask):
    """One point in 2^L is all layers, which wins more often than that."""

    def sample(self, rng: np.random.Generator) -> dict[str, Scalar]:
        """Draw all layers, some nearest the head, or a free set, each as often."""
        match int(rng.integers(3)):
            case 0:
                return self._upper(self.n_layers)
            case 1:
                return self._upper(int(rng.integers(1, self.n_layers + 1)))
            case _:
                return super().sample(rng)

    def moves(self, point: Mapping[str, Scalar], rng: np.random.Generator) -> list[dict[str, Scalar]]:
        """Return those of a mask, the step to all layers, and that to as many layers nearest the head."""
        return [*super().moves(point, rng), self._upper(self.n_layers), self._upper(len(self.layers(point)))]

    def _upper(self, n_on: int) -> dict[str, Scalar]:
        return self.nearest(tuple(range(self.n_layers - n_on, self.n_layers)))


class _Span(_Rule):
    @cached_property
    def parameters(self) -> tuple[Ordinal, ...]:
        return self._ordinal("first", 0, self.n_layers - 1), self._ordinal("length", 1, self.n_layers)

    @property
    def size(self) -> int:
        return self.n_layers * (self.n_layers + 1) // 2

    def layers(self, point: Mapping[str, Scalar]) -> Layers:
        first, length = (int(point[parameter.name]) for parameter in self.parameters)
        return tuple(range(first, min(self.n_layers, first + length)))

    def canonical(self, point: Mapping[str, Scalar]) -> dict[str, Scalar]:
        found = self.layers(point)
        first, length = self.parameters
        return {first.name: found[0], length.name: len(found)}


class _Top(_Rule):
    @cached_property
    def parameters(self) -> tuple[Ordinal, ...]:
        return (self._ordinal("top", 1, self.n_layers),)

    @property
    def size(self) -> int:
        return self.n_layers

    def layers(self, point: Mapping[str, Scalar]) -> Layers:
        return tuple(range(self.n_layers - int(point[self.parameters[0].name]), self.n_layers))

    def canonical(self, point: Mapping[str, Scalar]) -> dict[str, Scalar]:
        name = self.parameters[0].name
        return {name: point[name]}


class _Every(_Rule):
    """No stride leaves a layer alone twice: with strides up to S two sets with different parameters differ."""

    @property
    def _longest(self) -> int:
        return (self.n_layers + 1) // 2

    @cached_property
    def parameters(self) -> tuple[Ordinal, ...]:
        return self._ordinal("stride", 1, self._longest), self._ordinal("offset", 0, self._longest - 1)

    @property
    def size(self) -> int:
        return self._longest * (self._longest + 1) // 2

    def layers(self, point: Mapping[str, Scalar]) -> Layers:
        stride, offset = self.canonical(point).values()
        return tuple(range(int(offset), self.n_layers, int(stride)))

    def canonical(self, point: Mapping[str, Scalar]) -> dict[str, Scalar]:
        stride, offset = (parameter.name for parameter in self.parameters)
        return {stride: point[stride], offset: min(int(point[offset]), int(point[stride]) - 1)}


class _All(_Rule):
    @property
    def parameters(self) -> tuple[Ordinal, ...]:
        return ()

    @property
    def size(self) -> int:
        return 1

    def layers(self, point: Mapping[str, Scalar]) -> Layers:
        return tuple(range(self.n_layers))

    def canonical(self, point: Mapping[str, Scalar]) -> dict[str, Scalar]:
        return {}


_RULES: dict[LayerRule, Callable[[str, int], LayerSet]] = {
    "mask": _Mask,
    "weighted": _Weighted,
    "span": _Span,
    "top": _Top,
    "every": _Every,
    "all": _All,
}
