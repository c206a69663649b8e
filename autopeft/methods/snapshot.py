"""Take a model's state before it is changed, and put it back bit for bit.

Nothing here knows what a change looks like: modules added, wrapped or replaced, hooks, configs swapped on a module and attributes are
all entries of some module's `__dict__`, so restoring those dictionaries undoes them all. Values of parameters need no copy, because
nothing in this package writes into the backbone's own tensors: what is trained or merged is a clone that stands in for the original
(`stand_in`), which the restored dictionaries bring back. Bitsandbytes keeps what belongs to a quantised weight in objects of its own,
which it changes as they are used: these are put back in the same way.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import nn

_CONTAINERS = (dict, OrderedDict, set)


class Snapshot:
    """The state of a module tree at one moment.

    Args:
        model: The tree's root. It is kept alive, and only shallow copies of its dictionaries and its buffers' values are made.
    """

    def __init__(self, model: nn.Module) -> None:
        self.modules = tuple(model.modules())
        holders = (*self.modules, *_quantisation_states(self.modules))
        self._attributes = [(holder, _shallow(vars(holder))) for holder in holders]
        # `.data` and not the parameter alone: some methods swap the tensor below a parameter.
        self._parameters = [(parameter, parameter.data, parameter.requires_grad) for parameter in model.parameters()]
        self._buffers = [(buffer, buffer.clone(), buffer._version) for buffer in model.buffers()]

    def restore(self) -> None:
        """Put everything back. Modules, parameters and dictionaries are the same objects as before."""
        for holder, attributes in self._attributes:
            _put_back(vars(holder), attributes)
        for parameter, data, requires_grad in self._parameters:
            parameter.data = data
            parameter.requires_grad_(requires_grad)
        with torch.no_grad():
            for buffer, values, version in self._buffers:
                if buffer._version != version:
                    buffer.copy_(values)


def stand_in(model: nn.Module, originals: Iterable[nn.Parameter]) -> None:
    """Replace parameters by clones that require gradient, wherever in the model they stand.

    Tied weights stay tied: one original has one clone. Under autocast clones of 16-bit weights are float32, since small updates would be
    lost in 16 bits; without it a layer's input and its weights must have the same type.
    """
    clones = {id(original): nn.Parameter(_to_train(original.detach().clone())) for original in originals}
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None and id(parameter) in clones:
                module._parameters[name] = clones[id(parameter)]


def _quantisation_states(modules: Iterable[nn.Module]) -> Iterator[Any]:
    """Yield bitsandbytes' parameters, and the objects in which they and their modules keep scales."""
    for module in modules:
        parameters = [parameter for parameter in module.parameters(recurse=False) if _is_bitsandbytes(parameter)]
        yield from parameters
        for holder in (module, *parameters):
            yield from (value for value in vars(holder).values() if _is_bitsandbytes(value) and not isinstance(value, nn.Module))


def _is_bitsandbytes(value: object) -> bool:
    return type(value).__module__.partition(".")[0] == "bitsandbytes"


def in_float32(tensor: torch.Tensor) -> torch.Tensor:
    """Return a 16-bit tensor's numbers in float32; any other tensor as it is."""
    return tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor


def _to_train(weight: torch.Tensor) -> torch.Tensor:
    return in_float32(weight) if torch.is_autocast_enabled(weight.device.type) else weight


def _shallow(attributes: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return each attribute with a copy of its content where it is a container."""
    return {name: (value, value.copy() if type(value) in _CONTAINERS else None) for name, value in attributes.items()}


def _put_back(attributes: dict[str, Any], saved: dict[str, tuple[Any, Any]]) -> None:
    attributes.clear()
    for name, (value, content) in saved.items():
        attributes[name] = value
        if content is not None:
            value.clear()
            value.update(content)
