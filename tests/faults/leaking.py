"""A plugin: a method that keeps memory for good, in a process that may not have much more of it."""

import resource
from pathlib import Path

import torch
from torch import nn

from autopeft.configuration import PeftModule
from autopeft.methods.method import Method
from autopeft.methods.registry import register_method
from autopeft.methods.topology import Topology

LEAK_BYTES = 100_000_000
ROOM_BYTES = 350_000_000
"""What a process may take beyond what it has when its first trial begins."""

_leaked: list[torch.Tensor] = []


class Factor(nn.Module):
    """A learned factor on each hidden unit of a block's output."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.g = nn.Parameter(torch.ones(width))

    def after_block(self, block: nn.Module, args: object, output: torch.Tensor | tuple[torch.Tensor, ...]) -> object:
        return (output[0] * self.g, *output[1:]) if isinstance(output, tuple) else output * self.g


def inject(model: nn.Module, module: PeftModule, topology: Topology) -> None:
    if not _leaked:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM_BYTES, -1))
    _leaked.append(torch.ones(LEAK_BYTES // 4))
    for block in topology.placed(module.layers):
        target = model.get_submodule(block.name)
        target.factor = Factor(block.hidden_size)
        target.register_forward_hook(target.factor.after_block)


def count(module: PeftModule, topology: Topology) -> int:
    return sum(block.hidden_size for block in topology.placed(module.layers))


register_method(
    Method(name="leaking", kind="representation", summary="a factor, and a leak", paper="a test", inject=inject, count=count),
)
