"""Closed forms: how many parameters a module of each method trains, from shapes alone.

Symbols: h hidden size of a block, r the module's size (bottleneck size or rank), p prefix length.
"""

from collections.abc import Iterator

from autopeft.configuration import PeftModule
from autopeft.methods.topology import Attention, Topology


def gate(module: PeftModule, width: int) -> int:
    """Return w + 1 for a gate on vectors of width w; 0 for a module without gates."""
    return width + 1 if module.options["gated"] else 0


def bottleneck(module: PeftModule, topology: Topology) -> int:
    """Return 2hr + r + h a block: two linears with biases; gated, h + 1 more."""
    widths = [block.hidden_size for block in topology.placed(module.layers)]
    return sum(2 * width * module.size + module.size + width + gate(module, width) for width in widths)


def shared_bottleneck(module: PeftModule, topology: Topology) -> int:
    """Return 2hr + r + h, whatever the number of blocks; gated, h + 1 more."""
    width = topology.placed(module.layers)[0].hidden_size
    return 2 * width * module.size + module.size + width + gate(module, width)


def mixture(module: PeftModule, topology: Topology) -> int:
    """Return E(2hr + r + 2h + 1) a block: E bottlenecks, and a linear to as many scores."""
    widths = [block.hidden_size for block in topology.placed(module.layers)]
    return int(module.options["experts"]) * sum(2 * width * module.size + module.size + 2 * width + 1 for width in widths)


def prefix(module: PeftModule, topology: Topology) -> int:
    """Return p * o an attention module, o = key-value heads * (key width + value width); with an MLP of width m, ps + (s + 1)m + (m + 1)o.

    There s = key-value heads * key width is the width of the vectors that the MLP starts from. Gated, heads * key width + 1 more.
    """
    sites = list(prefixed(module, topology))
    gates = sum(gate(module, site.n_heads * site.key_size) for site in sites)
    return gates + sum(_prefix_of(site, module.size, int(module.options["mlp_width"])) for site in sites)


def _prefix_of(site: Attention, length: int, mlp_width: int) -> int:
    output = site.n_key_value_heads * (site.key_size + site.value_size)
    source = site.n_key_value_heads * site.key_size
    return length * source + (source + 1) * mlp_width + (mlp_width + 1) * output if mlp_width else length * output


def prefixed(module: PeftModule, topology: Topology) -> Iterator[Attention]:
    """Yield the attention modules that a prefix module stands in."""
    for block in topology.placed(module.layers):
        yield from (attention for attention in block.attentions if module.options["cross"] or not attention.is_cross)


def compacter(module: PeftModule, topology: Topology) -> int:
    """Return n^3 + 3(h + r) a block, n the number of terms: rules that all blocks share, rank-one factors and biases of two linears."""
    n_terms = int(module.options["terms"])
    return n_terms**3 + sum(3 * (block.hidden_size + module.size) for block in topology.placed(module.layers))


def polyhistor(module: PeftModule, topology: Topology) -> int:
    """Return k a block, and 2kq(h + r): embeddings, and what makes factors of rank q of two weights out of them."""
    blocks, embedding = topology.placed(module.layers), int(module.options["embedding"])
    n_embeddings = len({block.name for block in blocks})
    return embedding * (n_embeddings + 2 * int(module.options["rank"]) * (blocks[0].hidden_size + module.size))


def loreft(module: PeftModule, topology: Topology) -> int:
    """Return 2rh + r a block: the subspace, and a linear into it with a bias."""
    return sum(2 * module.size * block.hidden_size + module.size for block in topology.placed(module.layers))


def lofit(module: PeftModule, topology: Topology) -> int:
    """Return heads * value width an attention module; with a selection, of so many heads of all."""
    attentions = [attention for block in topology.placed(module.layers) for attention in block.attentions]
    if float(module.options["heads"]) < 1:
        return selected_heads(module, topology) * attentions[0].value_size
    return sum(attention.n_heads * attention.value_size for attention in attentions)


def selected_heads(module: PeftModule, topology: Topology) -> int:
    """Return how many heads a LoFiT module selects, at least one."""
    n_heads = sum(attention.n_heads for block in topology.placed(module.layers) for attention in block.attentions)
    return max(1, round(float(module.options["heads"]) * n_heads))


def prompt(module: PeftModule, topology: Topology) -> int:
    """Return p * width of the token embeddings."""
    return module.size * embedding_width(topology)


def dept(module: PeftModule, topology: Topology) -> int:
    """Pd + r(s + d), d the width of the token embeddings: a prompt, and a pair of rank r for texts of s tokens."""
    width, rank = embedding_width(topology), int(module.options["rank"])
    return module.size * width + rank * (int(module.options["text_length"]) + width)


def ept(module: PeftModule, topology: Topology) -> int:
    """Return what `dept` has, and for each of K spaces 2dr + d: into it and out of it, and what weighs it."""
    width = embedding_width(topology)
    return dept(module, topology) + int(module.options["spaces"]) * (2 * width * int(module.options["rank"]) + width)


def embedding_width(topology: Topology) -> int:
    """Return the width of the token embeddings; 0 where a model has none."""
    return next((tensor.shape[-1] for tensor in topology.tensors if tensor.name == f"{topology.embedding}.weight"), 0)
