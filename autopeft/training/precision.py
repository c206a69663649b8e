"""How precisely a model's frozen weights are held, and how a model is run whose weights take half the memory.

Matrices are held in 16 bits; vectors (biases, the scales of norms), which are few, and all that is trained stay in float32. Products are
computed in the matrices' type by autocast, sums, norms and losses in float32.
"""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from autopeft.training.device import has_bfloat16

HALF = (torch.bfloat16, torch.float16)
SHORT_NAMES = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}


def weights_dtype(wanted: str, device: torch.device | str) -> torch.dtype:
    """Return the type that a name of torch's means; "auto" is bfloat16 on a GPU that multiplies it natively, else float32."""
    device = torch.device(device)
    if wanted == "auto":
        return torch.bfloat16 if device.type == "cuda" and has_bfloat16(device) else torch.float32
    dtype: torch.dtype = getattr(torch, wanted)
    return dtype


def hold_in_float32(model: nn.Module, *, vectors_only: bool) -> None:
    """Turn a model's 16-bit tensors into float32, which holds the same numbers: all, or only vectors."""
    tensors = model.parameters() if vectors_only else (*model.parameters(), *model.buffers())
    for tensor in tensors:
        is_plain = type(tensor.data) is torch.Tensor  # torchao's quantised weights say of themselves that they are 16-bit
        if is_plain and tensor.dtype in HALF and not (vectors_only and tensor.dim() > 1):
            tensor.data = tensor.data.float()


def products(device: torch.device, dtype: torch.dtype | None) -> AbstractContextManager[None]:
    """Return a context in which products are computed in a 16-bit type; None changes nothing.

    Casts of trained tensors are not kept in it, so it may last longer than one step of training.
    """
    return nullcontext() if dtype is None else torch.autocast(device.type, dtype=dtype, cache_enabled=False)


def in_bfloat16(device: torch.device, wanted: bool) -> AbstractContextManager[None]:
    """Return a context for one pass in which products are computed in bfloat16, if that is wanted."""
    return torch.autocast(device.type, dtype=torch.bfloat16) if wanted else nullcontext()
