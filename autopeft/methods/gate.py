"""Learned gates on what a module adds (UniPELT, Mao et al., 2022, arXiv 2110.07577)."""

from typing import Any

import torch
from torch import Tensor, nn

from autopeft.methods.topology import Linear


class Gate(nn.Module):
    """g_t = sigmoid(w x_t + b), one number a position; a half at first.

    UniPELT averages x over the sequence and has one gate a layer for it. A gate of its own for each position computes the same from a
    cache as without one, whatever stands to the right of it and however much padding there is.

    Args:
        width: Width of x.
        device: Where its parameters are.
    """

    def __init__(self, width: int, device: torch.device) -> None:
        super().__init__()
        self.linear = nn.Linear(width, 1, device=device, dtype=torch.float32)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return ... x 1 for x of ... x width, in the type of x."""
        gate: Tensor = torch.sigmoid(self.linear(x.to(self.linear.weight.dtype)))
        return gate.to(x.dtype)


def gate_low_rank(model: nn.Module, linear: Linear, adapter: str) -> None:
    """Multiply the update that a peft LoRA layer adds by a gate on the linear's input."""
    layer: Any = model.get_submodule(linear.name)
    update: nn.Linear = layer.lora_B[adapter]
    gate = layer.autopeft_gate = _LowRankGate(linear.fan_in, update.weight.device)
    layer.register_forward_pre_hook(gate.keep_input)
    update.register_forward_hook(gate.apply_to_update)


class _LowRankGate(Gate):
    """A gate whose x comes before what it gates: kept from the layer's input until its update, both within one forward pass."""

    _input: Tensor | None = None

    def keep_input(self, layer: nn.Module, args: tuple[Any, ...]) -> None:
        self._input = args[0]

    def apply_to_update(self, up: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        x, self._input = self._input, None
        assert x is not None, "the layer's input is kept by its pre-hook"
        gate: Tensor = self(x)
        return output * gate.to(output.dtype)
