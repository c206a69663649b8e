"""Serial and parallel bottleneck adapters."""

import math

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

from autopeft.configuration import PeftModule
from autopeft.methods.block_deltas import deltas_of, device_of
from autopeft.methods.gate import Gate
from autopeft.methods.topology import Block, Topology


class Bottleneck(nn.Module):
    """scale * (W_up a(W_down x + b_down) + b_up), zero at first; gated, times the gate of x.

    Args:
        width: Width of x and of the output.
        size: Width between.
        activation: Name of a.
        scale: Factor on the output.
        device: Where its parameters are.
        gated: Whether it has a gate.
    """

    def __init__(self, width: int, size: int, activation: str, scale: float, device: torch.device, *, gated: bool) -> None:
        super().__init__()
        self.down = nn.Linear(width, size, device=device)
        self.up = nn.Linear(size, width, device=device)
        self.activation = ACT2FN[activation]
        self.scale = scale
        self.gate = Gate(width, device) if gated else None
        nn.init.kaiming_uniform_(self.down.weight, a=math.sqrt(5))
        for zero in (self.down.bias, self.up.weight, self.up.bias):
            nn.init.zeros_(zero)

    def forward(self, x: Tensor) -> Tensor:
        """Return what to add, in the type of x."""
        delta: Tensor = self.up(self.activation(self.down(x.to(self.down.weight.dtype))))
        delta = (delta * self.scale).to(x.dtype)
        return delta if self.gate is None else delta * self.gate(x)


def inject_serial(model: nn.Module, module: PeftModule, topology: Topology) -> None:
    """Add a bottleneck after each chosen block's FFN."""
    for block in topology.placed(module.layers):
        deltas_of(model, block).serial[module.method] = _build(model, module, block)


def inject_parallel(model: nn.Module, module: PeftModule, topology: Topology) -> None:
    """Add a bottleneck beside each chosen block's FFN."""
    for block in topology.placed(module.layers):
        deltas_of(model, block).parallel[module.method] = _build(model, module, block)


def inject_shared(model: nn.Module, module: PeftModule, topology: Topology) -> None:
    """Add one and the same bottleneck after each chosen block's FFN; it stands in the first of them, and the others refer to it."""
    blocks = topology.placed(module.layers)
    shared = _build(model, module, blocks[0])
    for block in blocks:
        deltas_of(model, block).serial[module.method] = shared


def _build(model: nn.Module, module: PeftModule, block: Block) -> Bottleneck:
    options, device = module.options, device_of(model.get_submodule(block.name))
    activation, scale = str(options["activation"]), float(options["scale"])
    return Bottleneck(block.hidden_size, module.size, activation, scale, device, gated=bool(options["gated"]))
