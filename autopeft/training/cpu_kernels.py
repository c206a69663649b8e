"""Functions of torch that a trial on a processor spends much of its time in, computed in ways that take less.

Models are not touched: within the context `CpuKernels`, calls of three functions are answered by what is here, whoever makes them. What
they return has the same distribution, or differs in the last bits only. Figures are in benchmarks/RESULTS.md.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

LONGEST_QUADRATIC = 256
"""Up to so many positions attention without dropout keeps all its weights for the backward pass; beyond, memory matters more."""
_LEVELS = 1 << 16
"""Dropout compares random numbers of 16 bits, so that its probability is a multiple of 2^-16."""


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return what `functional.linear` does, in float32 by oneDNN where nothing is differentiated.

    torch multiplies float32 matrices by another library, which on some processors is half as fast.
    """
    if _is_plain_float32(input, weight, bias) and not torch.is_grad_enabled():
        in_a_row = None if bias is None else bias.contiguous()  # it reads others wrongly, without a word
        result: Tensor = torch.ops.mkldnn._linear_pointwise(input, weight, in_a_row, "none", [], "")
        return result
    return functional.linear(input, weight, bias)


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Return what `functional.dropout` does, with four random numbers out of each that torch's generator draws."""
    dropped = round(p * _LEVELS)
    if not training or not 0 < dropped < _LEVELS or inplace or input.device.type != "cpu" or not input.is_floating_point():
        return functional.dropout(input, p, training, inplace)
    drawn = torch.empty(-(-input.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    levels = drawn.view(torch.int16)[: input.numel()].view(input.shape)  # from -2^15 on, all equally likely
    return input * (levels >= dropped - _LEVELS // 2).to(input.dtype).mul_(_LEVELS / (_LEVELS - dropped))


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Return what torch's function of that name does, in bfloat16 by plain products where it drops weights or is differentiated.

    torch's fused kernel has a slow backward pass in bfloat16 and knows no dropout. A query that may look at nothing gets the mean of all
    values instead of zeros.
    """
    if torch.is_autocast_enabled("cpu"):
        query, key, value = (tensor.to(torch.get_autocast_dtype("cpu")) for tensor in (query, key, value))
    kept = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (query, key, value))
    if not _is_bfloat16(query, key, value) or not (dropout_p or (kept and key.shape[-2] <= LONGEST_QUADRATIC)):
        return functional.scaled_dot_product_attention(
            query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
        )
    if enable_gqa:
        groups = query.shape[-3] // key.shape[-3]
        key, value = key.repeat_interleave(groups, -3), value.repeat_interleave(groups, -3)
    if is_causal:
        attn_mask = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool).tril()
    with torch.autocast("cpu", enabled=False):
        scores = (query * (query.shape[-1] ** -0.5 if scale is None else scale)) @ key.transpose(-1, -2)
        if attn_mask is not None:
            lowest = torch.finfo(scores.dtype).min / 2  # not -inf, of which a whole row would be NaN
            if attn_mask.dtype == torch.bool:
                attn_mask = torch.zeros_like(attn_mask, dtype=scores.dtype).masked_fill_(~attn_mask, lowest)
            scores += attn_mask.to(scores.dtype).clamp(min=lowest)
        return dropout(torch.softmax(scores, -1), dropout_p) @ value


_ANSWERS: Mapping[Callable[..., Any], Callable[..., Any]] = {
    functional.linear: linear,
    functional.dropout: dropout,
    functional.scaled_dot_product_attention: scaled_dot_product_attention,
}


class CpuKernels(TorchFunctionMode):
    """Within this context the functions above stand in for torch's. On other devices than a processor they change nothing."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return _ANSWERS.get(func, func)(*args, **(kwargs or {}))


def _is_plain_float32(*tensors: Tensor | None) -> bool:
    return (
        torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and not torch.is_autocast_enabled("cpu")
        and all(
            tensor.dtype == torch.float32
            and tensor.device.type == "cpu"
            and tensor.layout == torch.strided
            and tensor.numel() > 0
            and not hasattr(tensor, "__tensor_flatten__")  # torchao's quantised weights say that they are float32
            for tensor in tensors
            if tensor is not None
        )
    )


def _is_bfloat16(*tensors: Tensor) -> bool:
    return all(tensor.dtype == torch.bfloat16 and tensor.device.type == "cpu" and tensor.numel() > 0 for tensor in tensors)
