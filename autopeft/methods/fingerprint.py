"""Tell whether two models have the same frozen weights.

A tensor's digest is the SHA-256 of its values rounded to bfloat16, so that a checkpoint has the same digest whether it was loaded in
float32, bfloat16 or (for a bfloat16 checkpoint) float16, and half as many bytes are hashed. Fine-tuning moves some values of every
trained tensor across a rounding boundary, so two different models share a digest only by tampering below 2^-9 of every value.
"""

import hashlib

import torch


@torch.no_grad()
def digest(tensor: torch.Tensor) -> str:
    """Return sixteen hexadecimal digits that equal values share, on any device."""
    values = tensor.detach().reshape(-1)
    if values.is_floating_point():
        values = values.to(torch.bfloat16)
    raw = values.contiguous().view(torch.uint8).cpu()
    return hashlib.sha256(raw.numpy().data).hexdigest()[:16]
