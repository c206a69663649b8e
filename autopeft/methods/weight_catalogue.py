"""The built-in methods that change linears' weights, carried out by the peft library.

An entry says which of the library's configuration classes to fill, with what, and how many parameters one linear then gets.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from autopeft.configuration import PeftModule
from autopeft.methods import closed_forms
from autopeft.methods.method import Method, Option


@dataclass(frozen=True)
class WeightMethod(Method):
    """A method that peft carries out."""

    peft_config: str = ""
    """Name of peft's configuration class."""
    arguments: Callable[[PeftModule], Mapping[str, Any]] = lambda module: {}
    """What to fill the class with for a module whose defaults are filled in."""


def _lora(module: PeftModule) -> dict[str, Any]:
    return {
        "r": module.size,
        "lora_alpha": module.options.get("alpha", 2 * module.size),
        "lora_dropout": module.options["dropout"],
        "use_dora": module.options["dora"],
        "use_rslora": module.options["rslora"],
        "init_lora_weights": "pissa" if module.options["pissa"] else True,
    }


METHODS = (
    WeightMethod(
        name="lora",
        kind="weight",
        summary="a low-rank matrix added to each target's weight",
        paper="Hu et al., 2021, arXiv 2106.09685",
        inject="autopeft.methods.weight:inject",
        count=closed_forms.over_linears(closed_forms.lora),
        size_name="rank",
        sizes=(1, 2, 4, 8, 16, 32, 64),
        options=(
            Option("alpha", None, "scale of the update; twice the rank when not given"),
            Option("dropout", 0.0, "dropout on the update's input"),
            Option("dora", False, "learn magnitude and direction apart (Liu et al., 2024, arXiv 2402.09353)", (False, True)),
            Option("rslora", False, "scale by 1/sqrt(rank) (Kalajdzievski, 2023, arXiv 2312.03732)", (False, True)),
            Option("pissa", False, "start from the principal singular vectors (Meng et al., 2024, arXiv 2404.02948)", (False, True)),
        ),
        default_targets=("query", "value"),
        merges=True,
        peft_config="LoraConfig",
        arguments=_lora,
    ),
)
