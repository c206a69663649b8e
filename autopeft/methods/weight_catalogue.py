"""The built-in methods that change linears' weights.

An entry says which of peft's configuration classes to fill, with what, and how many parameters one linear then gets. Where a method
draws frozen random values, its seed is fixed, so that a saved adapter finds the same ones again.
"""

from collections.abc import Sequence
from math import gcd
from typing import Any

from autopeft.configuration import PeftModule
from autopeft.methods import weight_forms as forms
from autopeft.methods.method import ANY_SCHEME, GATED, Option
from autopeft.methods.topology import Linear, Topology
from autopeft.methods.weight_method import WeightMethod, weight_method

_SEED = 0
_GRALORA_BLOCKS = 2
"""Blocks a side of a weight."""
_TORCHAO_INT8 = "torchao Int8Tensor"
_RANKS = (1, 2, 4, 8, 16, 32, 64)
_RANK: dict[str, Any] = {"size_name": "rank", "sizes": _RANKS}
_BLOCK: dict[str, Any] = {"size_name": "block size", "sizes": (4, 8, 16, 32)}
_COEFFICIENTS: dict[str, Any] = {"size_name": "number of coefficients", "sizes": (16, 64, 256, 1024, 4096), "sparse": True}


def _lora(module: PeftModule, linears: Sequence[Linear]) -> dict[str, Any]:
    return {
        "r": module.size,
        "lora_alpha": module.options.get("alpha", 2 * module.size),
        "lora_dropout": module.options["dropout"],
        "use_dora": module.options["dora"],
        "use_rslora": module.options["rslora"],
        "init_lora_weights": "pissa" if module.options["pissa"] else True,
    }


def _gate_on_no_plain_update(module: PeftModule) -> str:
    clashing = next((name for name in ("dora", "pissa") if module.options[name]), None)
    return f"a gate is on the update alone, and with {clashing} that is not all it adds" if module.options["gated"] and clashing else ""


def _rank(module: PeftModule, linears: Sequence[Linear]) -> dict[str, Any]:
    return {"r": module.size}


def _scaled_rank(module: PeftModule, linears: Sequence[Linear]) -> dict[str, Any]:
    return {"r": module.size, "alpha": 2 * module.size}


def _coefficients(module: PeftModule, linears: Sequence[Linear]) -> dict[str, Any]:
    return {"n_frequency": module.size, "random_loc_seed": _SEED}


def _adalora(module: PeftModule, linears: Sequence[Linear]) -> dict[str, Any]:
    # A training's length is known when it starts: peft asks for one all the same.
    return {"init_r": module.size, "target_r": _final_rank(module), "lora_alpha": 2 * module.size, "total_step": 1}


def _final_rank(module: PeftModule) -> int:
    return round(module.size * float(module.options["final_rank_fraction"]))


def _ranks_do_not_fall(module: PeftModule) -> str:
    fraction = float(module.options["final_rank_fraction"])
    return "" if 1 <= _final_rank(module) < module.size else f"its final rank, {fraction:.3g} of this, must be at least 1 and below it"


def _ia3(module: PeftModule, linears: Sequence[Linear]) -> dict[str, Any]:
    return {"feedforward_modules": [linear.name for linear in linears if linear.role == "ffn_out"]}


def _road(module: PeftModule, linears: Sequence[Linear]) -> dict[str, Any]:
    return {"variant": "road_1", "group_size": gcd(64, *(linear.fan_out for linear in linears))}


def _value_without_bias(topology: Topology) -> str:
    values = [linear for block in topology.blocks for linear in block.select(("value",))]
    if any(linear.transposed for linear in values):
        return "its linears keep their weight transposed (Conv1D)"
    return "" if all(linear.has_bias for linear in values) else "its values have no bias"


METHODS: tuple[WeightMethod, ...] = (
    weight_method(
        "lora",
        "a low-rank matrix added to each target's weight",
        "Hu et al., 2021, arXiv 2106.09685",
        "LoraConfig",
        _lora,
        forms.lora,
        options=(
            Option("alpha", None, "scale of the update; twice the rank when not given"),
            Option("dropout", 0.0, "dropout on the update's input"),
            Option(
                "dora", False, "learn magnitude and direction apart (Liu et al., 2024, arXiv 2402.09353)", (False, True), not_over=("int8",)
            ),
            Option("rslora", False, "scale by 1/sqrt(rank) (Kalajdzievski, 2023, arXiv 2312.03732)", (False, True)),
            Option("b_rate", 1.0, "learning rate of the factor B, times the learning rate (LoRA+, arXiv 2402.12354)", (1.0, 4.0, 16.0)),
            Option(
                "pissa",
                False,
                "start from the principal singular vectors (Meng et al., 2024, arXiv 2404.02948)",
                (False, True),
                not_over=ANY_SCHEME,
            ),
            GATED,
        ),
        clash=_gate_on_no_plain_update,
        inject="autopeft.methods.lora:inject",
        **_RANK,
    ),
    weight_method(
        "adalora",
        "a low-rank update kept as singular values and vectors, whose rank moves to where it matters while it falls",
        "Zhang et al., 2023, arXiv 2303.10512",
        "AdaLoraConfig",
        _adalora,
        forms.adalora,
        inject="autopeft.methods.adalora:inject",
        options=(Option("final_rank_fraction", 2 / 3, "mean rank at the end as a share of the rank at first", (0.5, 2 / 3)),),
        clash=_ranks_do_not_fall,
        size_name="rank at first",
        sizes=_RANKS[1:],
    ),
    weight_method(
        "loha",
        "the entrywise product of two low-rank matrices added to the weight",
        "Hyeon-Woo et al., 2021, arXiv 2108.06098; Yeh et al., 2023, arXiv 2309.14859",
        "LoHaConfig",
        _scaled_rank,
        forms.loha,
        **_RANK,
        takes_transposed=False,
        not_over=ANY_SCHEME,
    ),
    weight_method(
        "lokr",
        "the Kronecker product of a small and a low-rank matrix added to the weight",
        "Yeh et al., 2023, arXiv 2309.14859",
        "LoKrConfig",
        _scaled_rank,
        forms.lokr,
        **_RANK,
        takes_transposed=False,
        not_over=ANY_SCHEME,
    ),
    weight_method(
        "hira",
        "the weight times a low-rank matrix, entry by entry, added to it",
        "Huang et al., 2025, ICLR (openreview TwJrTz9cRS)",
        "HiraConfig",
        _rank,
        forms.low_rank,
        **_RANK,
        not_over=(_TORCHAO_INT8,),
    ),
    weight_method(
        "vera",
        "vectors that scale frozen random factors shared by all layers",
        "Kopiczko et al., 2023, arXiv 2310.11454",
        "VeraConfig",
        lambda module, linears: {"r": module.size, "projection_prng_key": _SEED},
        forms.vera,
        size_name="rank",
        sizes=(16, 64, 256, 1024),
        alone=True,
    ),
    weight_method(
        "randlora",
        "a full-rank update from scaled frozen random bases; a higher rank means fewer bases",
        "Albert et al., 2025, arXiv 2502.00987",
        "RandLoraConfig",
        lambda module, linears: {"r": module.size, "randlora_alpha": 20 * module.size, "projection_prng_key": _SEED},
        forms.randlora,
        size_name="basis rank",
        sizes=(4, 8, 16, 32),
        alone=True,
    ),
    weight_method(
        "oft",
        "the weight rotated by an orthogonal block-diagonal matrix",
        "Qiu et al., 2023, arXiv 2306.07280",
        "OFTConfig",
        lambda module, linears: {"r": 0, "oft_block_size": module.size},
        forms.oft,
        divides="fan_in",
        **_BLOCK,
        takes_transposed=False,
    ),
    weight_method(
        "boft",
        "the weight rotated by an orthogonal block matrix and scaled",
        "Liu et al., 2023, arXiv 2311.06243",
        "BOFTConfig",
        lambda module, linears: {"boft_block_size": module.size, "boft_n_butterfly_factor": 1},
        forms.boft,
        divides="fan_in",
        **_BLOCK,
        takes_transposed=False,
    ),
    weight_method(
        "hra",
        "the weight's input passed through a chain of reflections",
        "Yuan et al., 2024, arXiv 2405.17484",
        "HRAConfig",
        _rank,
        forms.hra,
        size_name="number of reflections",
        sizes=(2, 4, 8, 16, 32),
        takes_transposed=False,
        not_over=ANY_SCHEME,
    ),
    weight_method(
        "miss",
        "one small matrix shared by slices of the weight",
        "Kang and Yin, 2024, arXiv 2409.15371",
        "MissConfig",
        _rank,
        forms.miss,
        divides="fan_in",
        **_RANK,
        takes_transposed=False,
    ),
    weight_method(
        "fourierft",
        "a sparse spectrum whose Fourier transform is added to the weight",
        "Gao et al., 2024, arXiv 2405.03003",
        "FourierFTConfig",
        lambda module, linears: {**_coefficients(module, linears), "init_weights": True},
        forms.per_linear,
        **_COEFFICIENTS,
    ),
    weight_method(
        "waveft",
        "sparse wavelet coefficients whose inverse transform is added to the weight",
        "Bilican et al., 2025, arXiv 2505.12532",
        "WaveFTConfig",
        _coefficients,
        forms.per_linear,
        **_COEFFICIENTS,
    ),
    weight_method(
        "c3a",
        "circular convolutions beside the linear; a larger block means fewer parameters",
        "Chen et al., 2024, arXiv 2407.19342",
        "C3AConfig",
        lambda module, linears: {"block_size": module.size, "init_weights": True},
        forms.c3a,
        divides="both",
        **_BLOCK,
        takes_transposed=False,
        not_over=ANY_SCHEME,  # it adds in place to what a linear returns, which quantised ones forbid
    ),
    weight_method(
        "shira",
        "a sparse random subset of the weight's entries",
        "Bhardwaj et al., 2024, arXiv 2406.13175",
        "ShiraConfig",
        lambda module, linears: {"r": module.size, "random_seed": _SEED},
        forms.low_rank,
        size_name="entries a row and column",
        sparse=True,
        sizes=_RANKS,
        takes_transposed=False,
        alone=True,
    ),
    weight_method(
        "ia3",
        "factors on keys, values and the FFN's hidden units",
        "Liu et al., 2022, arXiv 2205.05638",
        "IA3Config",
        _ia3,
        forms.ia3,
        default_targets=("key", "value", "ffn_out"),
    ),
    weight_method(
        "beft",
        "a learned bias on the targets' outputs",
        "Huang et al., 2025, arXiv 2509.15974",
        "BeftConfig",
        lambda module, linears: {},
        forms.outputs,
        default_targets=("value",),
        needs="values with a bias",
        unsupported=_value_without_bias,
    ),
    weight_method(
        "road",
        "pairs of outputs rotated in the plane and scaled",
        "Liao and Monz, 2024, arXiv 2409.00119",
        "RoadConfig",
        _road,
        forms.outputs,
        takes_transposed=False,
    ),
    weight_method(
        "delora",
        "a low-rank update with bounded, learned strength",
        "Bini et al., 2025, arXiv 2503.18225",
        "DeloraConfig",
        _rank,
        forms.delora,
        **_RANK,
        takes_transposed=False,
        not_over=ANY_SCHEME,
    ),
    weight_method(
        "gralora",
        "a low-rank update for each block of the weight",
        "Jung et al., 2025, arXiv 2505.20355",
        "GraloraConfig",
        lambda module, linears: {**_scaled_rank(module, linears), "gralora_k": _GRALORA_BLOCKS},
        forms.low_rank,
        clash=lambda module: "" if module.size % _GRALORA_BLOCKS == 0 else f"{_GRALORA_BLOCKS} must divide it",
        size_name="rank",
        sizes=_RANKS[1:],
        not_over=ANY_SCHEME,  # it adds in place to what a linear returns, which quantised ones forbid
    ),
    weight_method(
        "glora",
        "low-rank changes to weight, bias and input at once",
        "Chavan et al., 2023, arXiv 2306.07967",
        "GloraConfig",
        _rank,
        forms.glora,
        **_RANK,
        takes_transposed=False,
        not_over=ANY_SCHEME,
    ),
    weight_method(
        "psoft",
        "the weight's principal subspace rotated and scaled",
        "Wu et al., 2025 (openreview FSHrinMArK)",
        "PsoftConfig",
        lambda module, linears: {"r": module.size, "psoft_alpha": module.size, "random_seed": _SEED},
        forms.psoft,
        within=True,
        **_RANK,
        takes_transposed=False,
        not_over=ANY_SCHEME,
    ),
    weight_method(
        "peanut",
        "a small network of the weight added to it",
        "Zhong et al., 2024, arXiv 2410.01870",
        "PeanutConfig",
        _rank,
        forms.peanut,
        **_RANK,
        takes_transposed=False,
        not_over=ANY_SCHEME,
    ),
)
