"""A plugin: a method that never gives memory back, in a process that may not have much more of it."""

import resource
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from autopeft.configuration import PeftModule
from autopeft.methods.registry import get_method, register_method
from autopeft.methods.topology import Topology

LEAK_BYTES = 100_000_000
ROOM_BYTES = 350_000_000
"""What a process may take beyond what it has when its first trial begins."""

_sound = get_method("serial_adapter")
_leaked: list[torch.Tensor] = []


def inject(model: nn.Module, module: PeftModule, topology: Topology) -> object:
    if not _leaked:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM_BYTES, -1))
    _leaked.append(torch.ones(LEAK_BYTES // 4))
    return _sound.injector(model, module, topology)


register_method(replace(_sound, name="leaking", inject=inject))
