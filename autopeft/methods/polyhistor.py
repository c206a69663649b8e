"""Adapters whose weights one hypernetwork makes for all layers (Polyhistor: Liu et al., 2022, arXiv 2210.03265, of one task).

A layer has an embedding e, k wide, and every weight of its bottleneck follows from it: W(e) = L(e) R(e), i x o, with factors
L(e) = sum_j e_j L_j (i x q) and R(e) = sum_j e_j R_j (q x o) that are linear in e. This is the paper's decomposed hypernetwork; L_j and
R_j are shared by all layers, where the paper shares them by tasks too. Its scaling kernels are for layers of several widths, which this
refuses. The factor R of the second weight is zero at first. There are no biases.

Symbols: h hidden size, r bottleneck size, k width of the embeddings, q rank of the weights.
"""

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

from autopeft.configuration import PeftModule
from autopeft.methods.block_deltas import deltas_of, device_of
from autopeft.methods.topology import Topology


class Hypernetwork(nn.Module):
    """Makes a weight of i x o out of an embedding.

    Args:
        embedding_width: k.
        fan_in: i.
        fan_out: o.
        rank: q.
        starts_at_zero: Whether the weight is zero at first, whatever the embedding.
    """

    def __init__(self, embedding_width: int, fan_in: int, fan_out: int, rank: int, *, starts_at_zero: bool) -> None:
        super().__init__()
        self.left = nn.Parameter(torch.randn(embedding_width, fan_in, rank) * embedding_width**-0.5)
        spread = 0.0 if starts_at_zero else (3 * fan_in * rank * embedding_width) ** -0.5
        self.right = nn.Parameter(torch.randn(embedding_width, rank, fan_out) * spread)

    def forward(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Return the factors, i x q and q x o."""
        return torch.tensordot(embedding, self.left, 1), torch.tensordot(embedding, self.right, 1)


class GeneratedAdapter(nn.Module):
    """The bottleneck of one layer, zero at first.

    Args:
        down: Makes its first weight. Other layers share it, and `up`.
        up: Makes its second.
        activation: Name of the non-linearity between the two.
    """

    def __init__(self, down: Hypernetwork, up: Hypernetwork, activation: str) -> None:
        super().__init__()
        self.down, self.up = down, up
        self.embedding = nn.Parameter(torch.randn(len(down.left)))
        self.activation = ACT2FN[activation]

    def forward(self, x: Tensor) -> Tensor:
        """Return what to add, in the type of x."""
        down, up = self.down(self.embedding), self.up(self.embedding)
        hidden = self.activation(x.to(self.embedding.dtype) @ down[0] @ down[1])
        delta: Tensor = hidden @ up[0] @ up[1]
        return delta.to(x.dtype)


def inject(model: nn.Module, module: PeftModule, topology: Topology) -> None:
    """Add a bottleneck after each chosen block's FFN, all made by the same two hypernetworks."""
    blocks = topology.placed(module.layers)
    width, rank, embedding_width = blocks[0].hidden_size, int(module.options["rank"]), int(module.options["embedding"])
    device = device_of(model.get_submodule(blocks[0].name))
    down = Hypernetwork(embedding_width, width, module.size, rank, starts_at_zero=False).to(device)
    up = Hypernetwork(embedding_width, module.size, width, rank, starts_at_zero=True).to(device)
    for block in blocks:
        adapter = GeneratedAdapter(down, up, str(module.options["activation"]))
        deltas_of(model, block).serial[module.method] = adapter.to(device_of(model.get_submodule(block.name)))
