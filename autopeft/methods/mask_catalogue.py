"""The built-in methods that train some of the model's own parameters."""

from autopeft.configuration import PeftModule
from autopeft.methods import mask_forms
from autopeft.methods.method import ANY_SCHEME, Method, Option
from autopeft.methods.topology import Topology

_INJECT = "autopeft.methods.mask:inject"


def _no_biases(topology: Topology) -> str:
    found = any(tensor.is_bias and tensor.block is not None for tensor in topology.backbone())
    return "" if found else "its blocks have no biases"


def _no_norms(topology: Topology) -> str:
    found = any(tensor.is_norm and tensor.block is not None for tensor in topology.backbone())
    return "" if found else "its blocks have no norms with parameters"


def _more_than_there_are(module: PeftModule, topology: Topology) -> str:
    return f"it has {topology.n_layers} layers" if module.size > topology.n_layers else ""


def _no_schedule(module: PeftModule, topology: Topology) -> str:
    if float(module.options["rate_decay"]) <= 0:
        return "learning rates are divided by a number above 0"
    return "" if 0 < float(module.options["unfrozen_after"]) <= 1 else "a share of the steps is above 0 and at most 1"


def _no_budget(module: PeftModule, topology: Topology) -> str:
    if int(module.options["rounds"]) < 1:
        return "there is at least one round"
    return "" if 0 < float(module.options["backward_share"]) <= 1 else "a share of the backward pass is above 0 and at most 1"


METHODS = (
    Method(
        name="bitfit",
        kind="mask",
        summary="the biases in the chosen layers",
        paper="Ben Zaken et al., 2021, arXiv 2106.10199",
        inject=_INJECT,
        selects=mask_forms.biases,
        not_over=ANY_SCHEME,  # bitsandbytes rounds the biases of its linears to the type that they compute in
        needs="biases",
        unsupported=_no_biases,
        merges=True,
    ),
    Method(
        name="norm_tuning",
        kind="mask",
        summary="the norms in the chosen layers",
        paper="Zhao et al., 2023, arXiv 2312.11420",
        inject=_INJECT,
        selects=mask_forms.norms,
        needs="norms with parameters",
        unsupported=_no_norms,
        merges=True,
    ),
    Method(
        name="last_layers",
        kind="mask",
        summary="everything in the last layers",
        paper="Lee et al., 2019, arXiv 1911.03090",
        inject=_INJECT,
        selects=mask_forms.last_layers,
        not_over=ANY_SCHEME,
        unfit=_more_than_there_are,
        size_name="number of layers",
        sizes=(1, 2, 4, 8),
        placed_in_layers=False,
        merges=True,
    ),
    Method(
        name="full_fine_tuning",
        kind="mask",
        summary="every parameter of the model: the baseline",
        paper="Devlin et al., 2018, arXiv 1810.04805",
        inject=_INJECT,
        selects=mask_forms.everything,
        not_over=ANY_SCHEME,
        needs="nothing",
        unsupported=lambda topology: "",
        placed_in_layers=False,
        merges=True,
    ),
    Method(
        name="gradual_unfreezing",
        kind="mask",
        summary="every parameter of the model, the last layer first and then one more at a time, the lower the slower",
        paper="Howard and Ruder, 2018, arXiv 1801.06146",
        inject="autopeft.methods.gradual_unfreezing:inject",
        selects=mask_forms.everything,
        not_over=ANY_SCHEME,
        unfit=_no_schedule,
        options=(
            Option("rate_decay", 2.6, "by which the learning rate is divided from each layer to the one below", (1.0, 2.6)),
            Option("unfrozen_after", 0.5, "share of the steps after which every layer is trained, up to 1", (0.25, 0.5, 0.75)),
        ),
        placed_in_layers=False,
        merges=True,
    ),
    Method(
        name="hft",
        kind="mask",
        summary="every parameter of the model, in each round half of the matrices of each kind",
        paper="Hui et al., 2024, arXiv 2404.18466",
        inject="autopeft.methods.half:inject",
        selects=mask_forms.everything,
        not_over=ANY_SCHEME,
        unfit=lambda module, topology: "there is at least one round" if int(module.options["rounds"]) < 1 else "",
        options=(Option("rounds", 4, "how often the half is drawn", (1, 4, 16)),),
        placed_in_layers=False,
        merges=True,
    ),
    Method(
        name="greentrainer",
        kind="mask",
        summary="every parameter of the model, in each round those that matter most within a share of the backward pass's FLOPs",
        paper="Huang et al., 2023, arXiv 2309.13192",
        inject="autopeft.methods.green:inject",
        selects=mask_forms.everything,
        not_over=ANY_SCHEME,
        unfit=_no_budget,
        options=(
            Option("backward_share", 0.5, "FLOPs of a step's backward pass, as a share of those that train everything", (0.3, 0.5)),
            Option("rounds", 4, "how often what matters is measured anew, in a step that trains everything", (2, 4)),
        ),
        placed_in_layers=False,
        merges=True,
    ),
)
