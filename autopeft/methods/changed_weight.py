"""Linears that compute with another weight than their own, which stays as it is.

While a linear runs, its changed weight stands in front of the parameter as a plain attribute. Names, shapes and values of the model's
own parameters, and so checkpoints of it, know nothing of that.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from autopeft.errors import UnsupportedError
from autopeft.methods.snapshot import stand_in

_MARK = "autopeft_changed_weight"


class WeightChange(nn.Module):
    """The change of some linears' weights, one module of a configuration.

    Args:
        linears: The linears, by name. They stand in the model already and become no members of this.

    Raises:
        UnsupportedError: Another module changes a linear's weight.
    """

    def __init__(self, linears: dict[str, nn.Module]) -> None:
        super().__init__()
        self.linears: Sequence[nn.Module] = tuple(linears.values())
        for index, (name, linear) in enumerate(linears.items()):
            if "weight" not in linear._parameters:
                raise UnsupportedError("one module at most may change a linear's weight in this way", value=name)
            refuse_changed(linear, name)
            setattr(linear, _MARK, True)
            linear.register_forward_pre_hook(_Before(self, index))
            linear.register_forward_hook(_after, always_call=True)

    @abstractmethod
    def changed(self, index: int) -> Tensor:
        """Return the weight that a linear computes with, in its type."""

    def weight(self, index: int) -> nn.Parameter:
        """Return a linear's own weight."""
        parameter = self.linears[index]._parameters["weight"]
        assert parameter is not None, "a linear has a weight"
        return parameter

    def fold(self, model: nn.Module) -> None:
        """Write the changes into clones that stand in for the model's own weights."""
        changed = [self.changed(index).detach() for index in range(len(self.linears))]
        stand_in(model, [self.weight(index) for index in range(len(self.linears))])
        for index, (linear, weight) in enumerate(zip(self.linears, changed, strict=True)):
            self.weight(index).data = weight
            self.weight(index).requires_grad_(False)
            delattr(linear, _MARK)
            for hooks in (linear._forward_pre_hooks, linear._forward_hooks):
                for key in [key for key, hook in hooks.items() if hook is _after or isinstance(hook, _Before)]:
                    del hooks[key]


class AddedUpdates(WeightChange):
    """Updates that are added to the weights, each a module that stands in its linear and returns the change of its weight.

    Args:
        linears: As in `WeightChange`.
        attribute: What every linear calls its update.
    """

    def __init__(self, linears: dict[str, nn.Module], attribute: str) -> None:
        super().__init__(linears)
        self._attribute = attribute

    def changed(self, index: int) -> Tensor:
        """Return a linear's weight with its update."""
        weight, update = self.weight(index), getattr(self.linears[index], self._attribute)
        changed: Tensor = weight + update().to(weight.dtype)
        return changed

    def fold(self, model: nn.Module) -> None:
        """Write the updates into clones of the weights, and take them away."""
        super().fold(model)
        for linear in self.linears:
            delattr(linear, self._attribute)


class _Before:
    """Pre-hook of a linear."""

    def __init__(self, change: WeightChange, index: int) -> None:
        self._change, self._index = change, index

    def __call__(self, linear: nn.Module, args: tuple[Any, ...]) -> None:
        vars(linear)["weight"] = self._change.changed(self._index)


def _after(linear: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
    vars(linear).pop("weight", None)


def refuse_changed(linear: nn.Module, name: str) -> None:
    """Check that a linear computes with its own weight.

    Raises:
        UnsupportedError: It doesn't.
    """
    if hasattr(linear, _MARK):
        raise UnsupportedError("one module at most may change a linear's weight in this way", value=name)


def fold_changes(model: nn.Module) -> None:
    """Write all changes into clones of the weights, and take the modules away."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, WeightChange):
                child.fold(model)
                delattr(parent, name)
