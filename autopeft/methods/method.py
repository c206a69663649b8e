"""What a PEFT method declares about itself. Nothing here needs torch, so that methods can be listed and counted without it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from autopeft.configuration import PeftModule, Scalar
from autopeft.errors import InvalidInputError, UnknownNameError
from autopeft.methods.topology import ALL_ROLES, ROLES, Block, Topology

if TYPE_CHECKING:
    from torch import nn

    from autopeft.methods.hook import TrainingHook

Kind = Literal["mask", "weight", "block", "representation", "attention", "input"]
KINDS: tuple[Kind, ...] = ("mask", "weight", "block", "representation", "attention", "input")
"""What a method changes, in the order in which methods are injected: whatever wraps a module comes before what hooks into it."""

ANY_SCHEME = ("any",)
"""What stands for all schemes of quantisation in `Method.not_over`."""

Injector = Callable[["nn.Module", PeftModule, Topology], "TrainingHook | None"]
"""Adds one module of a configuration to a model, and returns what it does while it is trained, if anything.

Every parameter that is new afterwards and requires gradient belongs to the module.
"""

Count = Callable[[PeftModule, Topology], int]
"""Number of parameters that the injector adds, from shapes alone."""

Selects = Callable[[PeftModule, Topology], Iterable[str]]
"""Names of the model's own parameters."""

Unsupported = Callable[[Topology], str]
"""Why a model cannot take the method, as a clause; empty if it can."""


@dataclass(frozen=True)
class Option:
    """A switch of a method that is not its size."""

    name: str
    default: Scalar | None
    """None: the method's own rule, which the summary states."""
    summary: str
    choices: tuple[Scalar, ...] = ()
    """The values worth searching. Empty: any value of the default's type."""
    lasts: bool = False
    """Whether a module with it on cannot be folded into the model's weights, although its method can."""
    not_over: tuple[str, ...] = ()
    """As in `Method`, of a module with it on."""


GATED = Option(
    "gated", False, "a learned gate on what it adds, at every position (Mao et al., 2022, arXiv 2110.07577)", (False, True), lasts=True
)


@dataclass(frozen=True)
class Method:
    """One PEFT method: what it is, what it costs, and how it gets into a model."""

    name: str
    kind: Kind
    summary: str
    paper: str
    """Author, year and arXiv id."""
    inject: str | Injector
    """A function, or where to find it when it is first used: "module:function"."""
    count: Count | None = None
    """Every method has this, or `selects`."""
    selects: Selects | None = None
    """For a mask: the names of the model's own parameters that it trains. Masks may share some, so what counts is their union."""
    needs: str = "transformer blocks"
    """What a model must have, in words."""
    unsupported: Unsupported = lambda topology: "" if topology.blocks else "it has no transformer blocks"
    gap: Callable[[Block], str] = lambda block: ""
    """Why a block cannot take the method, as a clause; empty if it can. In a hybrid model some can and some can't."""
    unfit: Callable[[PeftModule, Topology], str] = lambda module, topology: ""
    """Why a model that can take the method cannot take this module of it, as a clause; empty if it can."""
    not_over: tuple[str, ...] = ()
    """The quantised weights over which it can't stand, by scheme, or `ANY_SCHEME`: as where it trains or reads linears' own weights."""
    size_name: str = ""
    """What its size is called, such as "rank". Empty: it has none, and takes size 1."""
    sizes: tuple[int, ...] = (1,)
    """The sizes worth searching, besides 0 for off."""
    options: tuple[Option, ...] = ()
    default_targets: tuple[str, ...] = ()
    """Roles adapted when a configuration names none. Empty: the method has no targets."""
    placed_in_layers: bool = True
    spreads: bool = False
    """Whether training decides which of its layers its parameters go to, so that they don't stand in each."""
    merges: bool = False
    """Whether it can be folded into the model's own weights; see `merges_with`."""
    positions: Callable[[PeftModule], int] = lambda module: 0
    """How many of the positions that a model can read a module takes from the text."""
    alone: bool = False
    """Whether it works on plain linears only: on none that another method changes the weight of too."""
    starts_unchanged: bool = True
    """Whether a fresh module leaves the model's output as it was."""

    def __post_init__(self) -> None:
        if (self.count is None) == (self.selects is None):
            raise InvalidInputError("a method declares either how many parameters it adds or which it selects", value=self.name)

    @cached_property
    def injector(self) -> Injector:
        """The injecting function, imported on first use."""
        if not isinstance(self.inject, str):
            return self.inject
        module, _, attribute = self.inject.partition(":")
        return getattr(import_module(module), attribute)  # type: ignore[no-any-return]

    def objection(self, topology: Topology) -> str:
        """Return why no configuration of a model can hold the method, as a clause; empty if some can."""
        if reason := self.unsupported(topology):
            return reason
        if _meets(self.not_over, topology):
            return _quantised(topology)
        gaps = [self.gap(block) for block in topology.blocks]
        return gaps[0] if gaps and all(gaps) else ""

    def objection_to(self, module: PeftModule, topology: Topology) -> str:
        """Return why a model that can take the method cannot take this module of it, as a clause; empty if it can."""
        if wanting := [one.name for one in self.options if module.options.get(one.name) and _meets(one.not_over, topology)]:
            return f"{wanting[0]} needs weights as they are, and {_quantised(topology)}"
        return self.unfit(module, topology)

    def layers_of(self, topology: Topology) -> frozenset[int]:
        """Return the layers that can take the method."""
        return frozenset(block.index for block in topology.blocks if not self.gap(block))

    def merges_with(self, module: PeftModule) -> bool:
        """Return whether this very module can be folded into the model's own weights."""
        return self.merges and not any(option.lasts and module.options.get(option.name) for option in self.options)

    def complete(self, module: PeftModule) -> PeftModule:
        """Return a module with every default filled in.

        Raises:
            UnknownNameError: An option or a target is not one of the method's.
            InvalidInputError: A value has the wrong type, the module must or must not have layers or targets, or its size is not 1 and
                the method has none.
        """
        if self.placed_in_layers != (module.layers is not None):
            raise InvalidInputError(f"{self.name} {'needs' if self.placed_in_layers else 'is not placed in'} layers", value=module.layers)
        if not self.size_name and module.size != 1:
            raise InvalidInputError(f"{self.name} has no size and takes size 1", value=module.size)
        if module.targets and not self.default_targets:
            raise InvalidInputError(f"{self.name} has no target modules", value=module.targets)
        for target in module.targets:
            if target not in (*ROLES, ALL_ROLES):
                raise UnknownNameError("target module", target, (*ROLES, ALL_ROLES))
        return replace(module, targets=module.targets or self.default_targets, options=self._options(module))

    def _options(self, module: PeftModule) -> dict[str, Scalar]:
        values = {option.name: option.default for option in self.options if option.default is not None}
        known = {option.name: option for option in self.options}
        for name, value in module.options.items():
            if name not in known:
                raise UnknownNameError(f"option of {self.name}", name, known)
            values[name] = _checked(self.name, known[name], value)
        return values


def _meets(schemes: tuple[str, ...], topology: Topology) -> bool:
    return bool(topology.schemes) and (schemes == ANY_SCHEME or not topology.schemes.isdisjoint(schemes))


def _quantised(topology: Topology) -> str:
    return f"its linears are quantised ({topology.quantisation})"


def _checked(method: str, option: Option, value: Scalar) -> Scalar:
    """Return an option's value in its default's type."""
    wanted: type[Any] = float if option.default is None else type(option.default)
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not wanted:
        raise InvalidInputError(f"the option {option.name} of {method} must be of type {wanted.__name__}", value=value)
    if wanted is str and option.choices and value not in option.choices:
        raise InvalidInputError(f"the option {option.name} of {method} must be one of {', '.join(map(str, option.choices))}", value=value)
    return value
