"""How an entry describes a method that the peft library carries out on linears."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autopeft.configuration import PeftModule
from autopeft.methods.method import Method
from autopeft.methods.topology import Linear, Topology
from autopeft.methods.weight_forms import Form, over_linears

Arguments = Callable[[PeftModule, Sequence[Linear]], Mapping[str, Any]]
"""What to fill peft's configuration class with, for a module whose defaults are filled in and the linears that it adapts."""


@dataclass(frozen=True)
class WeightMethod(Method):
    """A method that peft carries out."""

    peft_config: str = ""
    """Name of peft's configuration class."""
    arguments: Arguments = lambda module, linears: {}


def weight_method(
    name: str,
    summary: str,
    paper: str,
    peft_config: str,
    arguments: Arguments,
    form: Form,
    *,
    takes_transposed: bool = True,
    divides: str = "",
    sparse: bool = False,
    within: bool = False,
    clash: Callable[[PeftModule], str] = lambda module: "",
    **more: Any,
) -> WeightMethod:
    """Return an entry whose parameters add up over the linears it adapts.

    Args:
        name: As in `Method`.
        summary: As in `Method`.
        paper: As in `Method`.
        peft_config: As in `WeightMethod`.
        arguments: As in `WeightMethod`.
        form: Number of parameters that one linear gets.
        takes_transposed: Whether peft can wrap linears that keep their weight transposed.
        divides: Which of a linear's widths the size must divide: "fan_in", "fan_out" or "both".
        sparse: Whether the parameters are entries of the weight, of which there are only so many.
        within: Whether the size is at most the smaller of a linear's widths.
        clash: Why a module can't be on any linear, such as options that exclude each other, as a clause; empty if it can.
        more: Other fields of `Method`.
    """
    defaults = {
        "needs": "linears" if takes_transposed else "linears that do not keep their weight transposed",
        "unsupported": no_linears if takes_transposed else _has_transposed,
        "default_targets": ("query", "value"),
        "merges": True,
        "inject": "autopeft.methods.weight:inject",
    }
    return WeightMethod(
        name=name,
        kind="weight",
        summary=summary,
        paper=paper,
        count=over_linears(form),
        unfit=lambda module, topology: (
            clash(module)
            or _indivisible(divides, module, topology)
            or (sparse and _too_many(form, module, topology))
            or (within and _too_wide(module, topology))
            or ""
        ),
        peft_config=peft_config,
        arguments=arguments,
        **{**defaults, **more},
    )


def no_linears(topology: Topology) -> str:
    """Say whether a model has no linears in its blocks."""
    return "" if any(block.linears for block in topology.blocks) else "its blocks have no linears"


def _has_transposed(topology: Topology) -> str:
    transposed = any(linear.transposed for block in topology.blocks for linear in block.linears)
    return "its linears keep their weight transposed (Conv1D)" if transposed else no_linears(topology)


def _indivisible(divides: str, module: PeftModule, topology: Topology) -> str:
    for linear in topology.linears(module.layers, module.targets) if divides else ():
        widths = {"fan_in": (linear.fan_in,), "fan_out": (linear.fan_out,), "both": (linear.fan_in, linear.fan_out)}[divides]
        for width in widths:
            if width % module.size:
                return f"the size must divide the width {width} of {linear.name}"
    return ""


def _too_many(form: Form, module: PeftModule, topology: Topology) -> str:
    for linear in topology.linears(module.layers, module.targets):
        if form(module, linear) > linear.fan_in * linear.fan_out:
            return f"the weight of {linear.name} has only {linear.fan_in * linear.fan_out} entries"
    return ""


def _too_wide(module: PeftModule, topology: Topology) -> str:
    for linear in topology.linears(module.layers, module.targets):
        if module.size > (width := min(linear.fan_in, linear.fan_out)):
            return f"it is at most the smaller width of {linear.name}, {width}"
    return ""
