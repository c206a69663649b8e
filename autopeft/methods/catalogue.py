"""The built-in methods that put modules into blocks and attention."""

from autopeft.methods import closed_forms
from autopeft.methods.method import Method, Option
from autopeft.methods.topology import Topology

_BOTTLENECK_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
_ACTIVATION = Option("activation", "relu", "the non-linearity between the two linears", ("relu", "gelu", "silu", "tanh"))


def no_ffn(topology: Topology) -> str:
    """Say whether a block has no FFN that an adapter could stand beside."""
    return "" if all(block.ffn_out for block in topology.blocks) else "a block has no feed-forward network"


def no_attention_interface(topology: Topology) -> str:
    """Say whether a block's attention cannot be edited."""
    found = all(block.attentions for block in topology.blocks)
    return "" if found else "its attention does not go through transformers' attention interface"


METHODS = (
    Method(
        name="serial_adapter",
        kind="block",
        summary="a bottleneck after the feed-forward network",
        paper="Houlsby et al., 2019, arXiv 1902.00751; as placed by Pfeiffer et al., 2020, arXiv 2005.00247",
        inject="autopeft.methods.bottleneck:inject_serial",
        count=closed_forms.bottleneck,
        size_name="bottleneck size",
        sizes=_BOTTLENECK_SIZES,
        options=(Option("scale", 1.0, "factor on the adapter's output"), _ACTIVATION),
    ),
    Method(
        name="parallel_adapter",
        kind="block",
        summary="a bottleneck beside the feed-forward network",
        paper="He et al., 2021, arXiv 2110.04366",
        inject="autopeft.methods.bottleneck:inject_parallel",
        count=closed_forms.bottleneck,
        needs="a feed-forward network",
        unsupported=no_ffn,
        size_name="bottleneck size",
        sizes=_BOTTLENECK_SIZES,
        options=(Option("scale", 4.0, "factor on the adapter's output"), _ACTIVATION),
    ),
    Method(
        name="prefix",
        kind="attention",
        summary="learned keys and values in front of each chosen layer's own",
        paper="Li and Liang, 2021, arXiv 2101.00190; in every layer, Liu et al., 2021, arXiv 2110.07602",
        inject="autopeft.methods.prefix:inject",
        count=closed_forms.prefix,
        needs="transformers' attention interface",
        unsupported=no_attention_interface,
        size_name="prefix length",
        sizes=(1, 2, 4, 8, 16, 32),
        options=(Option("cross", False, "also in attention to the encoder"),),
        starts_unchanged=False,
    ),
)
