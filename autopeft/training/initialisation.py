"""Drawing parameters anew. It loads no model, so that whoever only plans a search needn't wait for transformers."""

from collections.abc import Sequence

import torch
from torch import nn

from autopeft.training.device import own_draws


def reset_parameters(model: nn.Module, names: Sequence[str], seed: int) -> None:
    """Draw the named parameters anew, by the model's own initialisation, from a seed of their own."""
    owners = {name.rpartition(".")[0] for name in names}
    with own_draws(next(model.parameters()).device), torch.no_grad():
        torch.manual_seed(seed)
        for owner in sorted(owners):
            module = model.get_submodule(owner)
            for parameter in module.parameters(recurse=False):
                # transformers 5 marks what is initialised and skips it; training must be able to start again.
                parameter.__dict__.pop("_is_hf_initialized", None)
            module.__dict__.pop("_is_hf_initialized", None)
            model._init_weights(module)  # type: ignore[operator]
