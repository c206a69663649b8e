"""Further models over the same weights: modules of their own, so that each can carry other PEFT modules, and one set of frozen tensors."""

import copy
from typing import Any

from torch import nn

from autopeft.errors import UnsupportedError, in_one_line
from autopeft.methods.quantised import eight_bits


def skeleton(model: nn.Module) -> nn.Module:
    """Return a model that computes what the given one does, from the same memory.

    Parameters are objects of its own over the same values, since methods change flags and data of a parameter; those of another class than
    torch's, such as quantised ones, are shared. Buffers are copied: layers that keep statistics write into them.

    Args:
        model: A model without PEFT modules of which nothing requires gradient.

    Raises:
        UnsupportedError: The model holds something that can't be copied.
    """
    memo: dict[int, Any] = {}
    for parameter in model.parameters():
        memo[id(parameter)] = nn.Parameter(parameter.detach(), requires_grad=False) if type(parameter) is nn.Parameter else parameter
        if (quantisation := getattr(parameter, "quant_state", None)) is not None:  # bitsandbytes': as large as a tenth of the weight
            memo[id(quantisation)] = quantisation
    memo |= {id(tensor): tensor for module in model.modules() for tensor in eight_bits(module)}
    try:
        return copy.deepcopy(model, memo)
    except Exception as error:  # a model's code may hold anything, such as a lock or an open file
        remedy = "Run one trial at a time: --pack 1."
        what = f"the model can't be shared by several trials: {in_one_line(error)}"
        raise UnsupportedError(what, value=type(model).__name__, remedy=remedy) from error
