"""Tell whether two models have the same frozen weights.

A tensor's digest is the SHA-256 of its values rounded to bfloat16, so that a checkpoint has the same digest whether it was loaded in
float32, bfloat16 or (for a bfloat16 checkpoint) float16, and half as many bytes are hashed. Fine-tuning moves some values of every
trained tensor across a rounding boundary, so two different models share a digest only by tampering below 2^-9 of every value.

Of a quantised weight its codes and scales are hashed, and its scheme stands before the digest, as in "nf4:0123456789abcdef".
"""

import hashlib

import torch
from torch import nn

from autopeft.methods.quantised import quantised


@torch.no_grad()
def digest(*tensors: torch.Tensor) -> str:
    """Return sixteen hexadecimal digits that equal values share, on any device."""
    found = hashlib.sha256()
    for tensor in tensors:
        values = tensor.detach().reshape(-1)
        if values.is_floating_point():
            values = values.to(torch.bfloat16)
        found.update(values.contiguous().view(torch.uint8).cpu().numpy().data)
    return found.hexdigest()[:16]


def parameter_digest(owner: nn.Module, parameter: nn.Parameter) -> str:
    """Return the digest of a module's parameter, with its scheme where it is quantised."""
    kept = quantised(owner, parameter)
    return digest(parameter) if kept is None else f"{kept.scheme}:{digest(*kept.kept)}"


def scheme_of(digest: str) -> str:
    """Return how a tensor of this digest is quantised; empty if it is not."""
    return digest.rpartition(":")[0]
