"""Closed forms: how many parameters a module of each method trains, from shapes alone.

Symbols: h hidden size of a block, r the module's size (bottleneck size or rank), P prefix length, i and o a linear's widths in and out.
"""

from collections.abc import Callable, Iterator

from autopeft.configuration import PeftModule
from autopeft.methods.topology import Attention, Linear, Topology


def bottleneck(module: PeftModule, topology: Topology) -> int:
    """2hr + r + h a block: two linears with biases."""
    return sum(2 * block.hidden_size * module.size + module.size + block.hidden_size for block in topology.placed(module.layers))


def prefix(module: PeftModule, topology: Topology) -> int:
    """P * key-value heads * (key width + value width) an attention module."""
    sites = prefixed(module, topology)
    return sum(module.size * site.n_key_value_heads * (site.key_size + site.value_size) for site in sites)


def prefixed(module: PeftModule, topology: Topology) -> Iterator[Attention]:
    """Yield the attention modules that a prefix module stands in."""
    for block in topology.placed(module.layers):
        yield from (attention for attention in block.attentions if module.options["cross"] or not attention.is_cross)


def lora(module: PeftModule, linear: Linear) -> int:
    """R(i + o), and o magnitudes with DoRA."""
    return module.size * (linear.fan_in + linear.fan_out) + (linear.fan_out if module.options["dora"] else 0)


def over_linears(one: Callable[[PeftModule, Linear], int]) -> Callable[[PeftModule, Topology], int]:
    """Return the count of a method that adds up over the linears it adapts."""
    return lambda module, topology: sum(one(module, linear) for linear in topology.linears(module.layers, module.targets))
