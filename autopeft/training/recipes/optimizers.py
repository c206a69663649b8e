"""The optimisers by name: torch's, and those of packages that are installed beside it."""

import importlib
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple

import torch

from autopeft.errors import UnavailableError


class _Optimizer(NamedTuple):
    module: str
    name: str
    arguments: Mapping[str, Any] = {}
    package: str = ""
    """What to install; empty: torch has it."""


_OPTIMIZERS: Mapping[str, _Optimizer] = {
    "adamw": _Optimizer("torch.optim", "AdamW"),
    "nadam": _Optimizer("torch.optim", "NAdam", {"decoupled_weight_decay": True}),
    "radam": _Optimizer("torch.optim", "RAdam", {"decoupled_weight_decay": True}),
    # Steps in proportion to a matrix's numbers would leave one that begins at zero where it is, as LoRA's B: up to 1 they are absolute.
    "adafactor": _Optimizer("torch.optim", "Adafactor", {"eps": (None, 1.0)}),
    "sgd": _Optimizer("torch.optim", "SGD", {"momentum": 0.9, "nesterov": True}),
    "lion": _Optimizer("bitsandbytes.optim", "Lion", package="bitsandbytes"),
    "adamw8bit": _Optimizer("bitsandbytes.optim", "AdamW8bit", package="bitsandbytes"),
    "lion8bit": _Optimizer("bitsandbytes.optim", "Lion8bit", package="bitsandbytes"),
}


def make_optimizer(name: str, groups: Sequence[Mapping[str, Any]]) -> torch.optim.Optimizer:
    """Return an optimiser of groups of parameters; who steps it sets the groups' learning rates.

    Raises:
        UnavailableError: The package that has it is not installed.
    """
    require_optimizer(name)
    found = _OPTIMIZERS[name]
    kind = getattr(importlib.import_module(found.module), found.name)
    optimizer: torch.optim.Optimizer = kind(list(groups), **found.arguments)
    return optimizer


def require_optimizer(name: str) -> None:
    """Check that an optimiser's package is there.

    Raises:
        UnavailableError: It is not installed.
    """
    package = _OPTIMIZERS[name].package
    if package and find_spec(package) is None:
        remedy = "pip install 'autopeft[quantize]', or take another optimizer."
        raise UnavailableError(f"the optimizer {name} needs {package}", remedy=remedy)
