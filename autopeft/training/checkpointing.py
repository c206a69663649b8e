"""Less memory for more time: what a block's layers put out is computed again in the backward pass (Chen et al., 2016, arXiv 1604.06174).

Only the blocks' inputs are kept meanwhile. The numbers are the same to the last bit: random state and autocast are restored, and what
stands in for torch's functions in the forward pass does so when it is repeated.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers import Cache

from autopeft.methods.topology import Topology
from autopeft.training.cpu_kernels import CpuKernels


def checkpoint_blocks(model: nn.Module, topology: Topology) -> None:
    """Have a model's blocks compute their layers again in the backward pass, as long as the modules that stand on it now are in place.

    To be called after `autopeft.methods.compose.apply`; ejecting the modules undoes it.
    """
    for block in topology.blocks:
        module = model.get_submodule(block.name)
        module.forward = _checkpointed(module, module.forward)


def _checkpointed(module: nn.Module, forward: Callable[..., Any]) -> Callable[..., Any]:
    def repeatable(*args: Any, **kwargs: Any) -> Any:
        with CpuKernels():  # the backward pass repeats this outside of the training loop's own
            return forward(*args, **kwargs)

    def run(*args: Any, **kwargs: Any) -> Any:
        if not (module.training and torch.is_grad_enabled()):
            return forward(*args, **kwargs)
        kept = {name: _without_cache(value) for name, value in kwargs.items()}
        return checkpoint(repeatable, *map(_without_cache, args), use_reentrant=False, **kept)

    return run


def _without_cache(value: Any) -> Any:
    """Return None for a cache of keys and values: training needs none, and it would get every block's twice."""
    return None if isinstance(value, Cache) else value
