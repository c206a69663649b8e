"""Edits of what a block or a head puts out, after the block is done."""

from typing import Any

import torch
from torch import Tensor, nn

from autopeft.configuration import PeftModule
from autopeft.methods.attention import edits_of
from autopeft.methods.block_deltas import device_of
from autopeft.methods.outputs import first_tensor, with_first
from autopeft.methods.topology import Topology


class LowRankEdit(nn.Module):
    """Edit y into y + R'(Wy + b - Ry), R with orthonormal rows (LoReFT: Wu et al., 2024, arXiv 2404.03592, equation 2).

    W starts as R and b at zero, so that y is unchanged at first.

    Args:
        width: h, the width of y.
        rank: r; R and W are r x h.
    """

    def __init__(self, width: int, rank: int) -> None:
        super().__init__()
        self.span = nn.Parameter(nn.init.orthogonal_(torch.empty(rank, width)))
        self.learned = nn.Linear(width, rank)
        with torch.no_grad():
            self.learned.weight.copy_(self._rows())
            self.learned.bias.zero_()

    def forward(self, y: Tensor) -> Tensor:
        """Return the edited y."""
        rows = self._rows()
        shift = nn.functional.linear(y.to(rows.dtype), self.learned.weight - rows, self.learned.bias)
        return y + (shift @ rows).to(y.dtype)

    def _rows(self) -> Tensor:
        """Return R: the rows of `span` made orthonormal."""
        columns, upper = torch.linalg.qr(self.span.T)
        # QR leaves the columns' signs to the device's library, and W learns for the ones it has seen.
        rows: Tensor = (columns * upper.diagonal().sign()).T
        return rows

    def after_block(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        """Hook of a block."""
        return with_first(output, self(first_tensor(output)))


class HeadOffset(nn.Module):
    """An offset for each head's output, zero at first (LoFiT: Yin et al., 2024, arXiv 2406.01563, equation 4).

    Args:
        n_heads: Number of heads.
        width: Width of one head's output.
    """

    def __init__(self, n_heads: int, width: int) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.zeros(n_heads, width))

    def forward(self, output: Tensor) -> Tensor:
        """Return the output, batch x positions x heads x width, with the offsets added."""
        return output + self.offset.to(output.dtype)


def inject_loreft(model: nn.Module, module: PeftModule, topology: Topology) -> None:
    """Edit each chosen block's output."""
    for block in topology.placed(module.layers):
        target = model.get_submodule(block.name)
        edit = LowRankEdit(block.hidden_size, module.size).to(device_of(target))
        target.autopeft_loreft = edit
        target.register_forward_hook(edit.after_block)


def inject_lofit(model: nn.Module, module: PeftModule, topology: Topology) -> None:
    """Shift the heads' outputs in each attention module of the chosen layers."""
    for block in topology.placed(module.layers):
        for attention in block.attentions:
            offset = HeadOffset(attention.n_heads, attention.value_size).to(device_of(model.get_submodule(attention.name)))
            edits_of(model, attention.name).outputs[module.method] = offset
