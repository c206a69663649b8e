"""Serial and parallel bottleneck adapters."""

import math

from torch import Tensor, nn
from transformers.activations import ACT2FN

from autopeft.configuration import PeftModule
from autopeft.methods.block_deltas import deltas_of, device_of
from autopeft.methods.topology import Block, Topology


class Bottleneck(nn.Module):
    """scale * (W_up g(W_down x + b_down) + b_up), zero at first.

    Args:
        width: Width of x and of the output.
        size: Width between.
        activation: Name of g.
        scale: Factor on the output.
    """

    def __init__(self, width: int, size: int, activation: str, scale: float) -> None:
        super().__init__()
        self.down = nn.Linear(width, size)
        self.up = nn.Linear(size, width)
        self.activation = ACT2FN[activation]
        self.scale = scale
        nn.init.kaiming_uniform_(self.down.weight, a=math.sqrt(5))
        for zero in (self.down.bias, self.up.weight, self.up.bias):
            nn.init.zeros_(zero)

    def forward(self, x: Tensor) -> Tensor:
        """Return what to add, in the type of x."""
        delta: Tensor = self.up(self.activation(self.down(x.to(self.down.weight.dtype))))
        return (delta * self.scale).to(x.dtype)


def inject_serial(model: nn.Module, module: PeftModule, topology: Topology) -> None:
    """Add a bottleneck after each chosen block's FFN."""
    for block in topology.placed(module.layers):
        deltas_of(model, block).serial[module.method] = _build(model, module, block)


def inject_parallel(model: nn.Module, module: PeftModule, topology: Topology) -> None:
    """Add a bottleneck beside each chosen block's FFN."""
    for block in topology.placed(module.layers):
        deltas_of(model, block).parallel[module.method] = _build(model, module, block)


def _build(model: nn.Module, module: PeftModule, block: Block) -> Bottleneck:
    adapter = Bottleneck(block.hidden_size, module.size, str(module.options["activation"]), float(module.options["scale"]))
    return adapter.to(device_of(model.get_submodule(block.name)))
