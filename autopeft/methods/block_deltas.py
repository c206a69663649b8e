"""The place in a block where adapters are added.

Symbols: x the FFN's input, f its output, LN the block's last norm, S and P the sums of the serial and the parallel adapters.

Post-norm blocks compute LN(f + x); with adapters they compute LN(f + S(LN(f + x)) + P(x) + x), the formula of AutoPEFT (Zhou et al., 2024,
arXiv 2301.12132, section 3). Pre-norm blocks add P(x) to the FFN's output and S(y) to the block's output y.
"""

from typing import Any

import torch
from torch import Tensor, nn

from autopeft.methods.outputs import first_tensor, with_first
from autopeft.methods.topology import Block


class BlockDeltas(nn.Module):
    """What is added inside one block. Lives in the block as `autopeft`.

    The FFN's input is kept from the moment it is read until the FFN ends; both lie inside the block's forward pass, so that gradient
    checkpointing runs them together.
    """

    def __init__(self, *, is_post_norm: bool) -> None:
        super().__init__()
        self.serial = nn.ModuleDict()
        self.parallel = nn.ModuleDict()
        self._is_post_norm = is_post_norm
        self._ffn_input: Tensor | None = None

    def keep_ffn_input(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Pre-hook of the module that reads the FFN's input."""
        if self.parallel:
            self._ffn_input = args[0] if args else next(iter(kwargs.values()))

    def before_last_norm(self, norm: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Pre-hook of a post-norm block's last norm, whose input is f + x."""
        total = args[0] + self._parallel_delta()
        if self.serial:
            total = total + _total(self.serial, norm.forward(args[0]))
        return (total, *args[1:])

    def after_ffn(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        """Hook of a pre-norm block's FFN."""
        return with_first(output, first_tensor(output) + self._parallel_delta()) if self.parallel else output

    def after_block(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        """Hook of a pre-norm block."""
        hidden = first_tensor(output)
        return with_first(output, hidden + _total(self.serial, hidden)) if self.serial else output

    def _parallel_delta(self) -> Tensor | int:
        if self._ffn_input is None:
            return 0
        ffn_input, self._ffn_input = self._ffn_input, None
        return _total(self.parallel, ffn_input)


def _total(adapters: nn.ModuleDict, x: Tensor) -> Tensor | int:
    """Return the sum of what the adapters make of x; 0 without adapters."""
    total: Tensor | int = sum(adapter(x) for adapter in adapters.values())
    return total


def deltas_of(model: nn.Module, block: Block) -> BlockDeltas:
    """Return what is added inside a block, placing it and its hooks on first use."""
    module = model.get_submodule(block.name)
    if hasattr(module, "autopeft"):
        return module.autopeft  # type: ignore[return-value]
    deltas = BlockDeltas(is_post_norm=block.is_post_norm)
    module.autopeft = deltas
    if block.ffn_in:
        model.get_submodule(block.ffn_in[0]).register_forward_pre_hook(deltas.keep_ffn_input, with_kwargs=True)
    if block.is_post_norm:
        model.get_submodule(block.last_norm).register_forward_pre_hook(deltas.before_last_norm)
    else:
        module.register_forward_hook(deltas.after_block)
        if block.ffn_out:
            model.get_submodule(block.ffn_out).register_forward_hook(deltas.after_ffn)
    return deltas


def device_of(module: nn.Module) -> torch.device:
    """Return the device of a module's first parameter."""
    return next(module.parameters()).device
