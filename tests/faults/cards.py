"""A plugin: two GPUs that aren't there, on which trials run on the processor, and what can go wrong with them.

In the folder that AUTOPEFT_TEST_FAULTS names, a file "poison" makes the next trial's process fail as after an assertion on the device;
a file "lost-1" makes the second GPU unusable for every process that starts from then on.
"""

import os
from dataclasses import replace
from pathlib import Path

import torch

from autopeft.configuration import PeftModule
from autopeft.errors import DeviceError
from autopeft.methods.registry import get_method, register_method
from autopeft.methods.topology import Topology
from autopeft.training import device as devices

FAULTS = Path(os.environ["AUTOPEFT_TEST_FAULTS"])
CARDS = ("0", "1")


def pick_device(wanted: str = "auto") -> torch.device:
    seen = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    if seen in CARDS and (FAULTS / f"lost-{seen}").exists():
        raise DeviceError(f"the GPU {seen} has fallen off the bus")
    return torch.device("cpu" if seen in CARDS or wanted == "cpu" else "cuda")  # in the driver it says that there are some


devices.pick_device = pick_device
devices.card_names = lambda: CARDS

_sound = get_method("serial_adapter")


def inject(model: torch.nn.Module, module: PeftModule, topology: Topology) -> object:
    try:
        (FAULTS / "poison").unlink()
    except FileNotFoundError:
        return _sound.injector(model, module, topology)
    raise torch.AcceleratorError("CUDA error: device-side assert triggered")


register_method(replace(_sound, name="fragile", inject=inject))
