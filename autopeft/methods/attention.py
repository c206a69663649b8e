"""Edit what single attention modules compute, through transformers' attention interface.

An attention module reads the name of its attention function from its config. A module that is to be edited gets a *view* of that
config, equal in everything but this name, which leads to `_dispatch` here. The model's own config, its masks and its cache know
nothing of it, and other modules pay nothing.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from autopeft.errors import UnsupportedError

_NAME = "autopeft"

AttentionFunction = Callable[..., tuple[Tensor, Tensor | None]]
"""`(module, query, key, value, attention_mask, **kwargs) -> (output, weights)`.

Query, key and value are batch x heads x positions x width; the output is batch x positions x heads x width.
"""


class ConfigView:
    """A module's config with another attention function.

    Args:
        base: The config that every other attribute is read from and written to.
        function: What the module calls as its attention function.
    """

    _attn_implementation = _NAME

    def __init__(self, base: Any, function: AttentionFunction) -> None:
        object.__setattr__(self, "autopeft_base", base)
        object.__setattr__(self, "autopeft_function", function)

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "autopeft_base"), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.autopeft_base, name, value)


def redirect(module: nn.Module, function: AttentionFunction) -> None:
    """Make an attention module call `function` as its attention function."""
    ALL_ATTENTION_FUNCTIONS.register(_NAME, _dispatch)
    module.config = ConfigView(module.config, function)  # type: ignore[assignment]


def backend(module: nn.Module) -> tuple[str, AttentionFunction]:
    """Return the name and the function of the attention that the model itself asks for."""
    name: str = cast(Any, module.config).autopeft_base._attn_implementation or "eager"
    return name, ALL_ATTENTION_FUNCTIONS.get(name, _eager(module))


def _dispatch(module: nn.Module, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor | None]:
    function: AttentionFunction = cast(Any, module.config).autopeft_function
    return function(module, *args, **kwargs)


def _eager(module: nn.Module) -> AttentionFunction | None:
    """Return the plain attention of the file that defines the module's class: every family has its own."""
    files = (sys.modules[cls.__module__] for cls in type(module).__mro__)
    return next((file.eager_attention_forward for file in files if hasattr(file, "eager_attention_forward")), None)


class AttentionEdits(nn.Module):
    """The edits of one attention module: keys and values prepended, heads' outputs shifted. Lives in the module as `autopeft`.

    A gated prefix is in part there and in part not: A + g (A_P - A), of the outputs A without and A_P with it and the gate g of the
    position. As A_P = l B + (1 - l) A, with l the share of the attention that the prefix B takes (He et al., 2021, arXiv 2110.04366,
    eq. 5), that is the prefix with the share g l. The gate reads the queries, a linear image of the layer's hidden state.
    """

    def __init__(self) -> None:
        super().__init__()
        self.prefixes = nn.ModuleDict()
        self.gates = nn.ModuleDict()
        """Of the prefixes that have one, by the prefix's name."""
        self.outputs = nn.ModuleDict()

    def run(
        self, module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
    ) -> tuple[Tensor, Tensor | None]:
        """Call the model's attention function on edited keys and values, and edit its output."""
        lasting = [prefix for name, prefix in self.prefixes.items() if name not in self.gates]
        output, weights = _attend(lasting, module, query, key, value, attention_mask, **kwargs)
        for name, gate in self.gates.items():
            whole, _ = _attend([*lasting, self.prefixes[name]], module, query, key, value, attention_mask, **kwargs)
            output = output + gate(query.transpose(1, 2).flatten(2)).unsqueeze(-1) * (whole - output)
        for edit in self.outputs.values():
            output = edit(output)
        return output, weights


def _attend(
    prefixes: Sequence[nn.Module],
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **kwargs: Any,
) -> tuple[Tensor, Tensor | None]:
    """Call the model's attention function with prefixes in front; the weights returned are those of the model's own positions."""
    name, function = backend(module)
    n_positions = key.shape[2]
    for prefix in prefixes:
        key, value = prefix(key, value)
    added = key.shape[2] - n_positions
    if added:
        attention_mask = _extend(name, module, query, attention_mask, added, n_positions, kwargs)
    output, weights = function(module, query, key, value, attention_mask, **kwargs)
    return output, weights[..., added:] if weights is not None else None


def edits_of(model: nn.Module, name: str) -> AttentionEdits:
    """Return the edits of the attention module with this full name, placing them on first use."""
    module = model.get_submodule(name)
    if not hasattr(module, "autopeft"):
        edits = AttentionEdits()
        module.autopeft = edits
        redirect(module, edits.run)
    return module.autopeft  # type: ignore[return-value]


def _extend(
    name: str, module: nn.Module, query: Tensor, mask: Tensor | None, added: int, n_positions: int, kwargs: dict[str, Any]
) -> Tensor | None:
    """Let every query see `added` positions in front of `n_positions` others: in the mask, the position bias and the causal flag.

    Raises:
        UnsupportedError: The attention function gets its mask in a form that cannot be extended here.
    """
    if name == "flex_attention" or kwargs.get("cache") is not None or kwargs.get("cu_seq_lens_q") is not None:
        raise UnsupportedError(
            "a prefix needs an attention function with a mask of one entry a key",
            value=name,
            remedy="Load the model with attn_implementation='sdpa' and without packed or paged batches.",
        )
    if "flash" in name:
        # A 2-d padding mask: flash attention aligns the causal diagonal to the end, so a prefix in front is seen by every query.
        return None if mask is None else nn.functional.pad(mask, (added, 0), value=1)
    if kwargs.get("position_bias") is not None:
        kwargs["position_bias"] = nn.functional.pad(kwargs["position_bias"], (added, 0))
    is_causal = kwargs.get("is_causal")
    is_causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    kwargs["is_causal"] = False
    if mask is not None:
        return nn.functional.pad(mask, (added, 0), value=mask.dtype == torch.bool)
    return _causal_mask(query, added, n_positions, additive=name == "eager") if is_causal and query.shape[2] > 1 else None


def _causal_mask(query: Tensor, added: int, n_positions: int, *, additive: bool) -> Tensor:
    """Return the mask that sdpa leaves to its causal flag, 1 x 1 x queries x (added + n_positions)."""
    queries = torch.arange(query.shape[2], device=query.device)[:, None]
    keys = torch.arange(-added, n_positions, device=query.device)[None]
    visible = (keys <= queries)[None, None]
    if not additive:
        return visible
    return torch.zeros_like(visible, dtype=query.dtype).masked_fill(~visible, torch.finfo(query.dtype).min)
