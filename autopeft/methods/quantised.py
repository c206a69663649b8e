"""What a quantised linear keeps in place of its weight.

Nothing is imported of the libraries that quantise: their parameters are known by their classes' names, as peft and transformers know them
too, or by having other tensors inside, as torch lets tensor subclasses say.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from autopeft.errors import UnsupportedError

_PLAIN = frozenset({torch.float64, torch.float32, torch.bfloat16, torch.float16})
_LOADED = "_is_hf_initialized"
"""By this transformers marks the parameters that came out of the checkpoint."""


class Quantised(NamedTuple):
    """A parameter that stands for a weight of other values or another shape than its own."""

    scheme: str
    """How it was quantised: "nf4", "fp4", "int8", a library and its class of tensors, or the name of a narrow type."""
    shape: tuple[int, ...]
    """The shape of the weight that it stands for."""
    kept: tuple[Tensor, ...]
    """All that decides which weight that is."""


def quantised(owner: nn.Module, parameter: nn.Parameter) -> Quantised | None:
    """Return what a parameter of a module keeps if it is quantised, else None."""
    match type(parameter).__name__:
        case "Params4bit":
            return _four_bits(parameter)
        case "Int8Params":
            # The first forward pass moves the scales from the parameter to the module.
            scales: Any = getattr(parameter, "SCB", None)
            scales = owner.state.SCB if scales is None else scales  # type: ignore[union-attr]
            return Quantised("int8", tuple(parameter.shape), _present(parameter.data, scales))
    if hasattr(parameter, "__tensor_flatten__"):
        scheme = f"{type(parameter).__module__.partition('.')[0]} {type(parameter).__name__}"
        return Quantised(scheme, tuple(parameter.shape), tuple(_inside(parameter)))
    if parameter.dtype in _PLAIN or parameter.is_complex():
        return None
    return Quantised(str(parameter.dtype).removeprefix("torch."), tuple(parameter.shape), (parameter.data,))


def _four_bits(parameter: Any) -> Quantised | None:
    """Read four-bit codes, and the scale of each block of them, which may be quantised again."""
    state = parameter.quant_state
    if state is None:  # it is quantised when the model gets its device
        return None
    nested = getattr(state, "state2", None)
    scales = (state.absmax,) if nested is None else (state.absmax, state.offset, nested.absmax)
    return Quantised(str(parameter.quant_type), tuple(state.shape), _present(parameter.data, *scales))


def _present(*tensors: Tensor | None) -> tuple[Tensor, ...]:
    return tuple(tensor for tensor in tensors if tensor is not None)


def _inside(tensor: Any) -> Iterator[Tensor]:
    """Yield the plain tensors that a tensor subclass is made of."""
    if not hasattr(tensor, "__tensor_flatten__"):
        yield tensor.detach()
        return
    for name in tensor.__tensor_flatten__()[0]:
        yield from _inside(getattr(tensor, name))


def compute_in_32_bits(model: nn.Module) -> None:
    """Let bitsandbytes' four-bit linears compute in float32: as exactly as the weights that they stand for would."""
    for module in model.modules():
        if isinstance(getattr(module, "compute_dtype", None), torch.dtype):
            module.compute_dtype = torch.float32  # type: ignore[assignment]


@torch.no_grad()
def dequantise(model: Any) -> list[str]:
    """Give a transformers model plain weights in place of its quantised ones: those that they stand for, in float32.

    Returns:
        Names of linears that the model's class keeps transposed (Conv1D); see `turn_back`.

    Raises:
        UnsupportedError: That can't be done with what it was quantised by.
    """
    turned = [name for name, module in model.named_modules() if getattr(module, "source_cls", None) is Conv1D]
    loaded = {name for name, parameter in model.named_parameters() if getattr(parameter, _LOADED, False)}
    linears = [module for module in model.modules() if hasattr(getattr(module, "weight", None), "__tensor_flatten__")]
    for module in linears:
        module.weight = nn.Parameter(module.weight.dequantize().float(), requires_grad=False)
    try:
        if linears:
            model.hf_quantizer.remove_quantization_config(model)
        else:
            model.dequantize(torch.float32)
    except NotImplementedError as error:
        raise UnsupportedError(f"the model's weights can't be dequantised: {error}", value=type(model).__name__) from None
    for name, parameter in model.named_parameters():
        if name in loaded:
            setattr(parameter, _LOADED, True)
    return turned


def turn_back(model: nn.Module, names: Iterable[str]) -> None:
    """Put Conv1D modules in place of dequantised linears, so that the model can be saved as its class reads it."""
    for name in names:
        linear: Any = model.get_submodule(name)
        stored: Any = Conv1D(linear.out_features, linear.in_features)  # type: ignore[no-untyped-call]
        stored.weight = nn.Parameter(linear.weight.detach().T.contiguous(), requires_grad=False)
        stored.bias = linear.bias
        model.set_submodule(name, stored)


def eight_bits(module: Any) -> tuple[Tensor, ...]:
    """Return the codes and scales of one of bitsandbytes' eight-bit linears, which keeps them from now on; of other modules nothing.

    Its parameter holds them until the first forward pass, when the module takes them; one that shares the parameter would find none.
    """
    if type(getattr(module, "weight", None)).__name__ != "Int8Params":
        return ()
    if module.weight.CB is not None:
        module.init_8bit_state()
    return _present(module.state.CB, module.state.SCB)


def keep_as_packed(model: nn.Module) -> None:
    """Keep bitsandbytes from packing four-bit weights anew in a forward pass.

    On processors that multiply bfloat16 it does so in eval mode: scales are rounded, and no gradient passes through the linear any more.
    """
    for module in model.modules():
        if getattr(module, "support_avx512bf16_for_cpu", False):
            module.support_avx512bf16_for_cpu = False  # type: ignore[assignment]
