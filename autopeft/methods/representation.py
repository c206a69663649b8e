"""Edits of what a block puts out (LoReFT)."""

from typing import Any

import torch
from torch import Tensor, nn

from autopeft.configuration import PeftModule
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


def inject_loreft(model: nn.Module, module: PeftModule, topology: Topology) -> None:
    """Edit each chosen block's output."""
    for block in topology.placed(module.layers):
        target = model.get_submodule(block.name)
        edit = LowRankEdit(block.hidden_size, module.size).to(device_of(target))
        target.autopeft_loreft = edit
        target.register_forward_hook(edit.after_block)
