"""Compacter: a bottleneck whose two weights are sums of Kronecker products (Karimi Mahabadi et al., 2021, arXiv 2106.04647).

Symbols: h hidden size, r bottleneck size, n number of terms. A weight of i x o is the sum over n terms of A_k (n x n) times, in Kronecker's
sense, s_k t_k (i/n x 1 and 1 x o/n). The rules A are shared by all blocks of one module; s, t and the biases are each block's own.
"""

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

from autopeft.configuration import PeftModule
from autopeft.methods.block_deltas import deltas_of, device_of
from autopeft.methods.topology import Topology

_STANDARD_DEVIATION = 0.01
"""Of the rules, as in section 5 of the paper."""


class KroneckerLinear(nn.Module):
    """X W + b with W the sum of Kronecker products.

    Args:
        rules: A, n x n x n. A parameter that other linears share.
        fan_in: Width of x, a multiple of n.
        fan_out: Width of the output, a multiple of n.
        starts_at_zero: Whether W is zero at first.
    """

    def __init__(self, rules: nn.Parameter, fan_in: int, fan_out: int, *, starts_at_zero: bool) -> None:
        super().__init__()
        n_terms = rules.shape[0]
        self.rules = rules
        self.left = nn.Parameter(nn.init.xavier_uniform_(torch.empty(n_terms, fan_in // n_terms)))
        self.right = nn.Parameter(torch.empty(n_terms, fan_out // n_terms))
        self.bias = nn.Parameter(torch.zeros(fan_out))
        if starts_at_zero:
            nn.init.zeros_(self.right)
        else:
            nn.init.xavier_uniform_(self.right)

    def forward(self, x: Tensor) -> Tensor:
        """Return X W + b, of width fan_out."""
        weight = torch.einsum("kab,ki,ko->aibo", self.rules, self.left, self.right)
        return x @ weight.reshape(x.shape[-1], -1) + self.bias


class Compacter(nn.Module):
    """The bottleneck of one block, zero at first."""

    def __init__(self, rules: nn.Parameter, width: int, size: int, activation: str) -> None:
        super().__init__()
        self.down = KroneckerLinear(rules, width, size, starts_at_zero=False)
        self.up = KroneckerLinear(rules, size, width, starts_at_zero=True)
        self.activation = ACT2FN[activation]

    def forward(self, x: Tensor) -> Tensor:
        """Return what to add, in the type of x."""
        delta: Tensor = self.up(self.activation(self.down(x.to(self.down.bias.dtype))))
        return delta.to(x.dtype)


def inject(model: nn.Module, module: PeftModule, topology: Topology) -> None:
    """Add a bottleneck after each chosen block's FFN, all with the same rules."""
    n_terms = int(module.options["terms"])
    rules = nn.Parameter(torch.randn(n_terms, n_terms, n_terms) * _STANDARD_DEVIATION)
    rules.data = rules.data.to(device_of(model))
    for block in topology.placed(module.layers):
        adapter = Compacter(rules, block.hidden_size, module.size, str(module.options["activation"]))
        deltas_of(model, block).serial[module.method] = adapter.to(device_of(model.get_submodule(block.name)))
