"""Closed forms: how many parameters a module of each method trains, from shapes alone.

Symbols: h hidden size of a block, r the module's size (bottleneck size or rank), P prefix length.
"""

from collections.abc import Iterator

from autopeft.configuration import PeftModule
from autopeft.methods.topology import Attention, Topology


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
