"""How many positions a model can read.

A model with a learned or fixed table of positions has as many as the table has rows, less those in front that it never uses for a token
(RoBERTa's start at 2). It is found by watching one forward pass over a few equal tokens: a table of positions is what is read at indices
that rise by one. Rotary positions, ALiBi, relative biases and recurrences have no table and no limit.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from autopeft.errors import hides_a_stop

_N_TOKENS = 4


def n_positions(model: nn.Module) -> int | None:
    """Return how many positions a model of token ids can read; None if there is no limit, or none can be found.

    Args:
        model: A transformers model without PEFT modules. It is left as it was.
    """
    config = getattr(model, "config", None)
    if config is None or getattr(model, "main_input_name", "input_ids") != "input_ids":
        return None
    reader = cast(nn.Module, getattr(model, "base_model", model))
    ids = torch.full((1, _N_TOKENS), filler(model), device=next(model.parameters()).device)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if getattr(config, "is_encoder_decoder", False):
        inputs["decoder_input_ids"] = ids
    watch, was_training = _Watch(), reader.training
    reader.eval()
    try:
        with torch.no_grad(), watch:
            reader(**inputs)
    except Exception as error:  # whatever a model's code raises that takes other inputs; what was seen until then counts
        if hides_a_stop(error):
            raise KeyboardInterrupt from error
    finally:
        reader.train(was_training)
    return min(watch.found, default=None)


class _Watch(TorchFunctionMode):
    """Notes how many positions each table has that is read like one."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[int] = []

    def __torch_function__(
        self, function: Callable[..., Any], types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if function is functional.embedding:
            indices, table = (*args, *kwargs.values())[:2]
            row = indices.reshape(-1, indices.shape[-1])[0] if indices.numel() else indices
            if len(row) == _N_TOKENS and bool((row.diff() == 1).all()):
                self.found.append(len(table) - int(row[0]))
        return function(*args, **kwargs)


def filler(model: nn.Module) -> int:
    """Return the lowest token id that is no padding, end or other special token, by which models find their way.

    RoBERTa and its like count positions by the padding that their tables were made with, whatever the configuration says by now.
    """
    special = {value for name, value in cast(Any, model).config.to_dict().items() if name.endswith("_token_id")}
    special |= {module.padding_idx for module in model.modules() if isinstance(module, nn.Embedding)}
    return next(token for token in range(len(special) + 1) if token not in special)
