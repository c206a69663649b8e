"""Learned keys and values in front of an attention module's own (prefix tuning in each chosen layer).

The values are drawn small, so that a fresh prefix takes a share of the attention but adds next to nothing to the output.
"""

import torch
from torch import Tensor, nn

from autopeft.configuration import PeftModule
from autopeft.methods.attention import edits_of
from autopeft.methods.block_deltas import device_of
from autopeft.methods.closed_forms import prefixed
from autopeft.methods.gate import Gate
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


class ReparametrisedPrefix(nn.Module):
    """P key-value pairs a head, made from P learned vectors: [K; V] = tanh(E W_1 + b_1) W_2 + b_2, a layer's own.

    Steadier to train than the pairs (Li and Liang, section 4.3); P-tuning v2 (arXiv 2110.07602) found that it depends on the task. E is
    P x d, d being the width of all heads' keys.

    Args:
        attention: The module it stands in.
        length: P, the prefix length.
        width: Width of the MLP's hidden layer.
    """

    def __init__(self, attention: Attention, length: int, width: int) -> None:
        super().__init__()
        self._shape = (length, attention.n_key_value_heads, attention.key_size + attention.value_size)
        self._key_size = attention.key_size
        source_width = attention.n_key_value_heads * attention.key_size
        self.source = nn.Parameter(torch.randn(length, source_width))
        self.hidden = nn.Linear(source_width, width)
        self.output = nn.Linear(width, self._shape[1] * self._shape[2])
        nn.init.normal_(self.output.weight, std=_STANDARD_DEVIATION)
        nn.init.zeros_(self.output.bias)

    def forward(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys and values, batch x heads x positions x width, with P positions more in front."""
        pairs = self.output(torch.tanh(self.hidden(self.source))).view(self._shape).transpose(0, 1)
        return _prepend(pairs[..., : self._key_size], key), _prepend(pairs[..., self._key_size :], value)


def _prepend(learned: Tensor, states: Tensor) -> Tensor:
    return torch.cat([learned.to(states.dtype).expand(states.shape[0], -1, -1, -1), states], dim=2)


def inject(model: nn.Module, module: PeftModule, topology: Topology) -> None:
    """Put a prefix into the attention of each chosen layer."""
    width = int(module.options["mlp_width"])
    for attention in prefixed(module, topology):
        prefix = ReparametrisedPrefix(attention, module.size, width) if width else Prefix(attention, module.size)
        edits, device = edits_of(model, attention.name), device_of(model.get_submodule(attention.name))
        edits.prefixes[module.method] = prefix.to(device)
        if module.options["gated"]:
            edits.gates[module.method] = Gate(attention.n_heads * attention.key_size, device)
