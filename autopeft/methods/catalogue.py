"""The built-in methods that autopeft carries out itself: adapters, prefixes, prompts, edits of representations."""

from autopeft.configuration import PeftModule
from autopeft.methods import closed_forms
from autopeft.methods.method import ANY_SCHEME, GATED, Method, Option
from autopeft.methods.topology import ALL_ROLES, Block, Topology
from autopeft.methods.weight_forms import dsee, mean_rank, over_linears, sparse_entries, sparse_entries_of, triangular
from autopeft.methods.weight_method import no_linears

_BOTTLENECK_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
_ACTIVATION = Option("activation", "relu", "the non-linearity between the two linears", ("relu", "gelu", "silu", "tanh"))


def no_ffn(block: Block) -> str:
    """Say whether a block has no feed-forward network that an adapter could stand beside."""
    return "" if block.ffn_out else "it has no feed-forward network"


def no_attention_interface(block: Block) -> str:
    """Say whether a block's attention cannot be edited."""
    return "" if block.attentions else "it has no attention that goes through transformers' attention interface"


def _no_tokens(topology: Topology) -> str:
    return "" if closed_forms.embedding_width(topology) else "its input is not token ids"


def _indivisible_by_terms(module: PeftModule, topology: Topology) -> str:
    n_terms = int(module.options["terms"])
    for width in (module.size, *(block.hidden_size for block in topology.placed(module.layers))):
        if n_terms < 1 or width % n_terms:
            return f"the number of terms, {n_terms}, must divide {width}"
    return ""


def _larger_than_hidden(module: PeftModule, topology: Topology) -> str:
    hidden_size = min((block.hidden_size for block in topology.placed(module.layers)), default=0)
    return f"the rank may be at most the hidden size, {hidden_size}" if module.size > hidden_size else ""


_FIRST_STAGE = Option("first_stage", 0.5, "share of the steps that choose what is trained in the others", (0.25, 0.5))


def _no_stages(module: PeftModule, topology: Topology) -> str:
    if module.size > 1000:
        return "it is the number of entries in a thousand"
    return "" if 0 < float(module.options["first_stage"]) < 1 else "a share of the steps is above 0 and below 1"


def _of_several_widths(module: PeftModule, topology: Topology) -> str:
    widths = {block.hidden_size for block in topology.placed(module.layers)}
    return "its layers have several widths" if len(widths) > 1 else ""


def _not_generated(module: PeftModule, topology: Topology) -> str:
    wrong = [name for name in ("rank", "embedding") if int(module.options[name]) < 1]
    return f"its {wrong[0]} must be at least 1" if wrong else _of_several_widths(module, topology)


def _no_experts(module: PeftModule, topology: Topology) -> str:
    return "" if int(module.options["experts"]) >= 1 else "it has one expert or more"


def _too_large(module: PeftModule, topology: Topology) -> str:
    for linear in topology.linears(module.layers, module.targets):
        if module.size > min(linear.fan_in, linear.fan_out):
            return f"the rank may be at most the narrower width of {linear.name}, {min(linear.fan_in, linear.fan_out)}"
        if not 1 <= int(module.options["entries"]) <= linear.fan_in * linear.fan_out:
            return f"the weight of {linear.name} has {linear.fan_in * linear.fan_out} entries, of which at least one is taken"
    return ""


def _no_growth(module: PeftModule, topology: Topology) -> str:
    if not 0 < float(module.options["grown_after"]) <= 1:
        return "a share of the steps is above 0 and at most 1"
    if not 1 <= mean_rank(module) <= module.size:
        return f"the mean rank, {float(module.options['mean_rank_fraction']):.3g} of this, must be at least 1 and at most all of it"
    return ""


def _no_heads(module: PeftModule, topology: Topology) -> str:
    share, stage = float(module.options["heads"]), float(module.options["first_stage"])
    if not (0 < share <= 1 and 0 < stage < 1):
        return "a share is above 0 and at most 1"
    widths = {attention.value_size for block in topology.placed(module.layers) for attention in block.attentions}
    return "a selection is among heads of one width" if share < 1 and len(widths) > 1 else ""


def _no_update(module: PeftModule, topology: Topology) -> str:
    wrong = [name for name in ("rank", "text_length", "spaces") if int(module.options.get(name, 1)) < 1]
    return f"its {wrong[0]} must be at least 1" if wrong else ""


METHODS = (
    Method(
        name="lt_sft",
        kind="weight",
        summary="the entries of the targets' weights that move most when all are trained, rewound and trained alone",
        paper="Ansell et al., 2022, arXiv 2110.07560",
        inject="autopeft.methods.lt_sft:inject",
        count=sparse_entries,
        needs="linears",
        unsupported=no_linears,
        not_over=ANY_SCHEME,
        unfit=_no_stages,
        size_name="entries in a thousand",
        sizes=(1, 5, 10, 50, 100),
        options=(_FIRST_STAGE,),
        default_targets=(ALL_ROLES,),
        spreads=True,
        merges=True,
        alone=True,
    ),
    Method(
        name="dsee",
        kind="weight",
        summary="a low-rank matrix added to each target's weight, and a few of its entries that no low-rank matrix accounts for",
        paper="Chen et al., 2021, arXiv 2111.00160",
        inject="autopeft.methods.dsee:inject",
        count=over_linears(dsee),
        needs="linears",
        unsupported=no_linears,
        not_over=ANY_SCHEME,
        unfit=_too_large,
        size_name="rank",
        sizes=(1, 2, 4, 8, 16, 32, 64),
        options=(Option("entries", 64, "number of entries of each weight", (16, 64, 256)),),
        default_targets=("query", "value"),
        merges=True,
        alone=True,
    ),
    Method(
        name="triadaptlora",
        kind="weight",
        summary="a low-rank matrix added to each target's weight, two triangles between its factors, whose rank grows where these do",
        paper="Liang et al., 2025, arXiv 2501.08008",
        inject="autopeft.methods.triadapt:inject",
        count=over_linears(triangular),
        needs="linears",
        unsupported=no_linears,
        not_over=ANY_SCHEME,
        unfit=_no_growth,
        size_name="highest rank",
        sizes=(2, 4, 8, 16, 32, 64),
        options=(
            Option("mean_rank_fraction", 0.5, "mean rank at the end as a share of the highest", (0.5, 0.75)),
            Option("grown_after", 0.5, "share of the steps after which ranks stay as they are, up to 1"),
        ),
        default_targets=("query", "value"),
        merges=True,
        alone=True,
    ),
    Method(
        name="spiel",
        kind="weight",
        summary="a few entries of each target's weight, which are dropped and grown while they train",
        paper="Ansell et al., 2024, arXiv 2401.16405",
        inject="autopeft.methods.spiel:inject",
        count=over_linears(sparse_entries_of),
        needs="linears",
        unsupported=no_linears,
        not_over=ANY_SCHEME,
        unfit=lambda module, topology: "it is the number of entries in a thousand" if module.size > 1000 else "",
        size_name="entries in a thousand",
        sizes=(1, 5, 10, 50, 100),
        options=(Option("growth", "gradients", "what says where entries grow", ("gradients", "momenta")),),
        default_targets=(ALL_ROLES,),
        merges=True,
        alone=True,
    ),
    Method(
        name="serial_adapter",
        kind="block",
        summary="a bottleneck after the feed-forward network",
        paper="Houlsby et al., 2019, arXiv 1902.00751; as placed by Pfeiffer et al., 2020, arXiv 2005.00247",
        inject="autopeft.methods.bottleneck:inject_serial",
        count=closed_forms.bottleneck,
        size_name="bottleneck size",
        sizes=_BOTTLENECK_SIZES,
        options=(Option("scale", 1.0, "factor on the adapter's output"), _ACTIVATION, GATED),
    ),
    Method(
        name="parallel_adapter",
        kind="block",
        summary="a bottleneck beside the feed-forward network",
        paper="He et al., 2021, arXiv 2110.04366",
        inject="autopeft.methods.bottleneck:inject_parallel",
        count=closed_forms.bottleneck,
        needs="a feed-forward network",
        gap=no_ffn,
        size_name="bottleneck size",
        sizes=_BOTTLENECK_SIZES,
        options=(Option("scale", 4.0, "factor on the adapter's output"), _ACTIVATION, GATED),
    ),
    Method(
        name="shared_adapter",
        kind="block",
        summary="one bottleneck after the feed-forward network that all chosen layers share",
        paper="Sung et al., 2021, arXiv 2112.06825, whose adapters are shared by tasks",
        inject="autopeft.methods.bottleneck:inject_shared",
        count=closed_forms.shared_bottleneck,
        unfit=_of_several_widths,
        size_name="bottleneck size",
        sizes=_BOTTLENECK_SIZES,
        options=(Option("scale", 1.0, "factor on the adapter's output"), _ACTIVATION, GATED),
        spreads=True,
    ),
    Method(
        name="mixture",
        kind="block",
        summary="bottlenecks beside the feed-forward network, which a learned router weighs for each token",
        paper="after Shazeer et al., 2017, arXiv 1701.06538",
        inject="autopeft.methods.mixture:inject",
        count=closed_forms.mixture,
        needs="a feed-forward network",
        gap=no_ffn,
        unfit=_no_experts,
        size_name="bottleneck size",
        sizes=_BOTTLENECK_SIZES,
        options=(
            Option("experts", 4, "number of bottlenecks", (2, 4, 8)),
            Option("scale", 4.0, "factor on the adapters' output"),
            _ACTIVATION,
        ),
    ),
    Method(
        name="prefix",
        kind="attention",
        summary="learned keys and values in front of each chosen layer's own",
        paper="Li and Liang, 2021, arXiv 2101.00190; in every layer, Liu et al., 2021, arXiv 2110.07602",
        inject="autopeft.methods.prefix:inject",
        count=closed_forms.prefix,
        needs="transformers' attention interface",
        gap=no_attention_interface,
        unfit=lambda module, topology: "an MLP's width is 0 or more" if int(module.options["mlp_width"]) < 0 else "",
        size_name="prefix length",
        sizes=(1, 2, 4, 8, 16, 32),
        options=(
            Option("cross", False, "also in attention to the encoder", (False, True)),
            Option(
                "mlp_width", 0, "width of an MLP that makes the prefix, trained and saved with it; 0 for none, AutoPEFT takes 800", (0, 800)
            ),
            GATED,
        ),
        starts_unchanged=False,
    ),
    Method(
        name="compacter",
        kind="block",
        summary="a bottleneck after the feed-forward network whose weights are sums of Kronecker products",
        paper="Karimi Mahabadi et al., 2021, arXiv 2106.04647",
        inject="autopeft.methods.compacter:inject",
        count=closed_forms.compacter,
        unfit=_indivisible_by_terms,
        size_name="bottleneck size",
        sizes=(4, 8, 16, 32, 64, 128),
        options=(Option("terms", 4, "number of Kronecker products; divides the size and the hidden size"), _ACTIVATION),
    ),
    Method(
        name="polyhistor",
        kind="block",
        summary="a bottleneck after the feed-forward network whose weights a hypernetwork of all layers makes from each layer's embedding",
        paper="Liu et al., 2022, arXiv 2210.03265, whose hypernetworks are shared by tasks too",
        inject="autopeft.methods.polyhistor:inject",
        count=closed_forms.polyhistor,
        unfit=_not_generated,
        size_name="bottleneck size",
        sizes=_BOTTLENECK_SIZES,
        options=(
            Option("embedding", 8, "width of the layers' embeddings", (4, 8)),
            Option("rank", 2, "rank of the weights that are made", (1, 2)),
            _ACTIVATION,
        ),
    ),
    Method(
        name="loreft",
        kind="representation",
        summary="the block's output edited in a learned low-rank subspace, at every position",
        paper="Wu et al., 2024, arXiv 2404.03592",
        inject="autopeft.methods.representation:inject_loreft",
        count=closed_forms.loreft,
        unfit=_larger_than_hidden,
        size_name="rank",
        sizes=(1, 2, 4, 8, 16, 32),
    ),
    Method(
        name="lofit",
        kind="attention",
        summary="a learned offset on each attention head's output",
        paper="Yin et al., 2024, arXiv 2406.01563",
        inject="autopeft.methods.lofit:inject",
        count=closed_forms.lofit,
        needs="transformers' attention interface",
        gap=no_attention_interface,
        unfit=_no_heads,
        options=(
            Option(
                "heads",
                1.0,
                "share of the heads that get an offset, those that matter most; 1 for all",
                (0.1, 1.0),
            ),
            _FIRST_STAGE,
        ),
        spreads=True,
    ),
    Method(
        name="prompt_tuning",
        kind="input",
        summary="learned token embeddings in front of the input",
        paper="Lester et al., 2021, arXiv 2104.08691",
        inject="autopeft.methods.prompt:inject",
        count=closed_forms.prompt,
        needs="token ids as input",
        unsupported=_no_tokens,
        size_name="prompt length",
        sizes=(1, 2, 4, 8, 16, 32),
        options=(
            Option(
                "prompt_rate",
                1.0,
                "learning rate of the prompt, times the head's (as in PTEC: Buchner et al., 2023, arXiv 2309.12075)",
                (1.0, 30.0),
            ),
        ),
        positions=lambda module: module.size,
        placed_in_layers=False,
        starts_unchanged=False,
    ),
    Method(
        name="dept",
        kind="input",
        summary="a short prompt in front of the input, and a low-rank update of the tokens' embeddings by their position",
        paper="Shi and Lipani, 2023, arXiv 2309.05173",
        inject="autopeft.methods.dept:inject",
        count=closed_forms.dept,
        needs="token ids as input",
        unsupported=_no_tokens,
        unfit=_no_update,
        size_name="prompt length",
        sizes=(1, 2, 4, 8, 16, 32),
        options=(
            Option("rank", 16, "rank of the update", (4, 16, 32)),
            Option("text_length", 128, "tokens of a text that are updated; later ones stay as they are", (64, 128, 256)),
            Option("prompt_rate", 300.0, "learning rate of the prompt, times the learning rate", (30.0, 300.0)),
        ),
        positions=lambda module: module.size,
        placed_in_layers=False,
        starts_unchanged=False,
    ),
    Method(
        name="ept",
        kind="input",
        summary="as `dept`, with a prompt that takes from the update and is projected in several spaces, weighed by a gate",
        paper="after Lan et al., 2024, arXiv 2405.11464",
        inject="autopeft.methods.ept:inject",
        count=closed_forms.ept,
        needs="token ids as input",
        unsupported=_no_tokens,
        unfit=_no_update,
        size_name="prompt length",
        sizes=(1, 2, 4, 8, 16, 32),
        options=(
            Option("rank", 16, "rank of the update, and width of each space", (4, 16)),
            Option("text_length", 128, "tokens of a text that are updated; later ones stay as they are"),
            Option("spaces", 4, "number of spaces", (2, 4)),
            Option("prompt_rate", 300.0, "learning rate of the prompt, times the learning rate", (30.0, 300.0)),
        ),
        positions=lambda module: module.size,
        placed_in_layers=False,
        starts_unchanged=False,
    ),
)
