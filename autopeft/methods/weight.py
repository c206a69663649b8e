"""Weight-level methods through the peft library, and folding them into the weights they change."""

import warnings
from collections.abc import Sequence
from typing import Any, cast

import peft
import torch
from peft.mapping import PEFT_TYPE_TO_TUNER_MAPPING
from peft.tuners.tuners_utils import BaseTunerLayer, cast_adapter_dtype
from torch import nn

from autopeft.configuration import PeftModule
from autopeft.errors import VerificationError
from autopeft.methods.changed_weight import refuse_changed
from autopeft.methods.gate import gate_low_rank
from autopeft.methods.registry import get_method
from autopeft.methods.snapshot import stand_in
from autopeft.methods.topology import Linear, Topology
from autopeft.methods.weight_method import WeightMethod

ADAPTER = "autopeft"
"""One name for all: of two adapters of one type under two names on a model, peft would leave the first inactive."""


def inject(model: nn.Module, module: PeftModule, topology: Topology) -> None:
    """Let peft wrap the linears in the module's layers and roles.

    Raises:
        VerificationError: Other linears than these were wrapped.
    """
    inject_with_config(model, module, topology)


def inject_with_config(model: nn.Module, module: PeftModule, topology: Topology) -> Any:
    """Do the same, and return peft's configuration of the module."""
    linears = list(topology.linears(module.layers, module.targets))
    for linear in linears:
        refuse_changed(model.get_submodule(linear.name), linear.name)
    config = _config(module, linears)
    # The tuner class and not `inject_adapter_in_model`, which refuses the methods whose layers share state.
    with warnings.catch_warnings():
        # BOFT's layers say for each linear that they compute without a CUDA extension.
        warnings.filterwarnings("ignore", message="Failed to load the CUDA extension|Setting boft_n_butterfly_factor")
        tuner = PEFT_TYPE_TO_TUNER_MAPPING[config.peft_type](model, config, ADAPTER)
    _train_in_32_bits(model, tuner.prefix)
    # A later tuner would find this one's config on the model and take both for one adapter.
    del model.peft_config
    if differing := {linear.name for linear in linears} ^ set(tuner.targeted_module_names):
        raise VerificationError(f"peft must wrap the linears that {module.method} names and no others", value=sorted(differing))
    for linear in linears:
        model.get_submodule(linear.name).register_forward_hook(_like_a_linear)
        if module.options.get("gated"):
            gate_low_rank(model, linear, ADAPTER)
    return config


def _train_in_32_bits(model: nn.Module, prefix: str) -> None:
    """Widen peft's parameters in a model of 16-bit weights, where small steps would be rounded away."""
    # Peft leaves AdaLoRA's counters of ranks trainable in such a model; what is to be trained has the tuner's prefix in its name.
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad and prefix in name}
    cast_adapter_dtype(model, ADAPTER)
    # Where it widens a frozen parameter, it puts one that requires gradient in its place.
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in trained)


def _like_a_linear(module: nn.Module, args: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor:
    """Return the output in the type that a plain linear's has under autocast; peft's layers may return their input's."""
    device = output.device.type
    return output.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else output


def _config(module: PeftModule, linears: Sequence[Linear]) -> Any:
    method = cast(WeightMethod, get_method(module.method))
    # Full names, because peft shortens patterns on mixtures of experts and then loses the layers.
    config = getattr(peft, method.peft_config)(target_modules=[linear.name for linear in linears], **method.arguments(module, linears))
    if hasattr(config, "fan_in_fan_out"):
        config.fan_in_fan_out = any(linear.transposed for linear in linears)
    return config


def fold(model: nn.Module) -> None:
    """Merge every peft layer into its linear and put the linear back in its place.

    The backbone's own tensors are not written to: clones stand in for the weights that change.
    """
    outermost = {name: module for name, module in model.named_modules() if isinstance(module, BaseTunerLayer)}
    outermost = {name: layer for name, layer in outermost.items() if not any(name.startswith(f"{other}.") for other in outermost)}
    stand_in(model, [parameter for layer in outermost.values() for parameter in layer.get_base_layer().parameters()])
    for name, layer in outermost.items():
        # A method applied later wraps the earlier ones, and acts on the weight that they have changed.
        for wrapper in reversed(list(_wrappers(layer))):
            wrapper.merge()
        model.set_submodule(name, layer.get_base_layer().requires_grad_(False))


def _wrappers(layer: nn.Module) -> list[Any]:
    """Return a peft layer and those that it wraps, outermost first."""
    return [layer, *_wrappers(layer.base_layer)] if isinstance(layer, BaseTunerLayer) else []
