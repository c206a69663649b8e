"""A slot of a search space: the place of one PEFT module, its parameters, and how a point of these reads as the module."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from autopeft.configuration import PeftModule, Scalar
from autopeft.space.layers import LayerRule
from autopeft.space.parameter import Categorical, Ordinal, first_value

Point = Mapping[str, Scalar]
"""A value for every parameter, by name."""
MAX_DRAWS = 100
"""Times that a module's parameters are drawn until it is on; off is one of two values at most, but for odd spaces."""
TARGET_SEPARATOR = "+"


@dataclass(frozen=True)
class MethodChoice:
    """A PEFT method that a slot may hold, and what a space must know of it."""

    method: str
    sizes: tuple[int, ...]
    """Sizes in rising order; 0 is off."""
    placed_in_layers: bool = True
    """Whether the layer mask concerns it."""
    takes_targets: bool = True
    """Whether the slot's targets concern it."""
    layers: frozenset[int] | None = None
    """The layers that can take it, for a model in which not all can. None: all."""

    def among(self, layers: tuple[int, ...]) -> tuple[int, ...]:
        """Return those of the given layers that can take it."""
        return layers if self.layers is None else tuple(layer for layer in layers if layer in self.layers)


@dataclass(frozen=True)
class ModuleSlot:
    """A place for one PEFT module: of one method, or of one out of several.

    Several methods share one size parameter, the level: 0 is off, and level k is a method's k-th size, or its largest if it has
    fewer. So a slot has the same parameters whichever method it holds.
    """

    name: str
    """Prefix of its parameters."""
    choices: tuple[MethodChoice, ...]
    targets: tuple[tuple[str, ...], ...] = ()
    """Choices of target roles. One choice is fixed, several are searched, none leaves each method's default."""
    options: tuple[tuple[str, tuple[Scalar, ...]], ...] = ()
    """Choices of each option; one choice is fixed."""
    layers: LayerRule | None = None
    """Rule of a set of layers of its own; None: what the space says."""

    @cached_property
    def placed_in_layers(self) -> bool:
        """Whether the layer mask concerns any of its methods."""
        return any(choice.placed_in_layers for choice in self.choices)

    @cached_property
    def parameters(self) -> tuple[Ordinal | Categorical, ...]:
        """What is searched: the method and its level or its size, and targets and options with more than one choice."""
        return tuple(self._parameters())

    def _parameters(self) -> Iterator[Ordinal | Categorical]:
        if len(self.choices) > 1:
            yield Categorical(f"{self.name}.method", tuple(choice.method for choice in self.choices))
            levels = tuple(range(max(len(choice.sizes) for choice in self.choices)))
            yield Ordinal(f"{self.name}.level", levels, first_is_off=all(choice.sizes[0] == 0 for choice in self.choices))
        else:
            sizes = self.choices[0].sizes
            yield Ordinal(f"{self.name}.size", sizes, first_is_off=sizes[0] == 0)
        if len(self.targets) > 1:
            yield Categorical(f"{self.name}.targets", tuple(map(TARGET_SEPARATOR.join, self.targets)))
        for option, choices in self.options:
            if len(choices) > 1:
                yield Categorical(f"{self.name}.{option}", choices)

    def draw(self, rng: np.random.Generator, *, on: bool, off_too: bool) -> dict[str, Scalar]:
        """Draw its parameters: off if it isn't to be on and can be off, else one with a module, or, if off may come too, any."""
        if not on and self.can_be_off:
            return dict(self._off)
        for _ in range(MAX_DRAWS):
            drawn: dict[str, Scalar] = {parameter.name: parameter.sample(rng) for parameter in self.parameters}
            if off_too or self.stands_in(drawn, (0,)) != ():
                break
        return drawn

    def module(self, point: Point, layers: tuple[int, ...]) -> PeftModule:
        """Return the module that a point describes, in the given layers."""
        choice, size = self._choose(point)
        joined = point.get(f"{self.name}.targets")
        targets = tuple(str(joined).split(TARGET_SEPARATOR)) if joined is not None else (self.targets[0] if self.targets else ())
        options = {option: point.get(f"{self.name}.{option}", choices[0]) for option, choices in self.options}
        return PeftModule(
            choice.method, size, choice.among(layers) if choice.placed_in_layers else None, targets if choice.takes_targets else (), options
        )

    def stands_in(self, point: Point, layers: tuple[int, ...]) -> tuple[int, ...] | None:
        """Return which of the given layers its module stands in: none if it is off, and None if its method is not placed in layers."""
        choice, size = self._choose(point)
        if not choice.placed_in_layers:
            return None if size else ()
        return choice.among(layers) if size else ()

    def canonical(self, point: Point, layers: tuple[int, ...]) -> dict[str, Scalar]:
        """Return its parameters, the same for all points that mean the same module in the given layers."""
        own = {parameter.name: point[parameter.name] for parameter in self.parameters}
        if self.stands_in(point, layers) == ():
            return self._off if self.stands_in(self._off, layers) == () else own
        choice, size = self._choose(point)
        if len(self.choices) > 1:
            own[f"{self.name}.level"] = choice.sizes.index(size)
        if len(self.targets) > 1 and not choice.takes_targets:
            own[f"{self.name}.targets"] = TARGET_SEPARATOR.join(self.targets[0])
        return own

    @property
    def can_be_off(self) -> bool:
        """Whether the first values of its parameters put no module in."""
        return self._choose(self._off)[1] == 0

    @cached_property
    def _off(self) -> dict[str, Scalar]:
        """The first values of its parameters, which put no module in if it can be off at all."""
        return {parameter.name: first_value(parameter) for parameter in self.parameters}

    def nearest(self, module: PeftModule) -> dict[str, Scalar]:
        """Return its parameters that come nearest to a module of one of its methods, in size, targets and options; never off."""
        choice = next(choice for choice in self.choices if choice.method == module.method)
        size = min((size for size in choice.sizes if size), key=lambda size: abs(math.log(size / module.size)))
        found: dict[str, Scalar] = {f"{self.name}.size": size}
        if len(self.choices) > 1:
            found = {f"{self.name}.method": choice.method, f"{self.name}.level": choice.sizes.index(size)}
        if len(self.targets) > 1:
            closest = min(self.targets, key=lambda targets: len(set(targets) ^ set(module.targets)))
            found[f"{self.name}.targets"] = TARGET_SEPARATOR.join(closest)
        for option, choices in self.options:
            if len(choices) > 1:
                wanted = module.options.get(option)
                found[f"{self.name}.{option}"] = wanted if wanted is not None and wanted in choices else choices[0]
        return found

    def _choose(self, point: Point) -> tuple[MethodChoice, int]:
        if len(self.choices) == 1:
            return self.choices[0], int(point[f"{self.name}.size"])
        choice = next(choice for choice in self.choices if choice.method == point[f"{self.name}.method"])
        return choice, choice.sizes[min(int(point[f"{self.name}.level"]), len(choice.sizes) - 1)]
