"""Learned keys and values in front of an attention module's own (prefix tuning in each chosen layer).

The values are drawn small, so that a fresh prefix takes a share of the attention but adds next to nothing to the output.
"""

import torch
from torch import Tensor, nn

from autopeft.configuration import PeftModule
from autopeft.methods.attention import edits_of
from autopeft.methods.block_deltas import device_of
from autopeft.methods.closed_forms import prefixed
from autopeft.methods.topology import Attention, Topology

_STANDARD_DEVIATION = 0.02


class Prefix(nn.Module):
    """P learned key-value pairs a head.

    Args:
        attention: The module it stands in.
        length: P, the prefix length.
    """

    def __init__(self, attention: Attention, length: int) -> None:
        super().__init__()
        heads = attention.n_key_value_heads
        self.key = nn.Parameter(torch.randn(heads, length, attention.key_size) * _STANDARD_DEVIATION)
        self.value = nn.Parameter(torch.randn(heads, length, attention.value_size) * _STANDARD_DEVIATION)

    def forward(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys and values, batch x heads x positions x width, with P positions more in front."""
        return _prepend(self.key, key), _prepend(self.value, value)


def _prepend(learned: Tensor, states: Tensor) -> Tensor:
    return torch.cat([learned.to(states.dtype).expand(states.shape[0], -1, -1, -1), states], dim=2)


def inject(model: nn.Module, module: PeftModule, topology: Topology) -> None:
    """Put a prefix into the attention of each chosen layer."""
    for attention in prefixed(module, topology):
        prefix = Prefix(attention, module.size).to(device_of(model.get_submodule(attention.name)))
        edits_of(model, attention.name).prefixes[module.method] = prefix
