"""Export as a folder that the peft library loads: LoRA, possibly of several ranks, and the task head.

The adapter's tensors are written as they are, under the library's names; what they mean (which linears, ranks, scales) goes into
`adapter_config.json`. Nothing of the library is needed for that.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from string import Template
from typing import Any

from safetensors.torch import load_file, save_file
from torch import nn

from autopeft.configuration import Configuration, Scalar
from autopeft.errors import UnsupportedError, VerificationError
from autopeft.export.subject import FinishedTrial
from autopeft.export.words import metric_lines
from autopeft.methods.adapter_files import TENSORS
from autopeft.methods.applied import AppliedModules
from autopeft.methods.checkpoint import load
from autopeft.methods.counting import resolve
from autopeft.training.model import load_model

EXPRESSED_OPTIONS = ("alpha", "dropout", "dora", "rslora", "pissa")
COMMON_OPTIONS = ("dropout", "dora", "rslora", "pissa")
"""Options that the library keeps once for all linears."""
LORA_TENSOR = re.compile(r"(?P<linear>.+)\.(?P<part>lora_A|lora_B|lora_magnitude_vector)\.[^.]+(?P<leaf>\.weight)$")


@dataclass(frozen=True)
class LowRank:
    """A linear's update."""

    rank: int
    alpha: float
    """The update is scaled by alpha / rank, or with rsLoRA by alpha / sqrt(rank)."""


def write(trial: FinishedTrial, folder: Path) -> None:
    """Write `adapter_config.json`, `adapter_model.safetensors` and a README.

    Raises:
        UnsupportedError: The configuration holds more than LoRA; names everything that would be lost.
        VerificationError: The adapter is of another backbone, or holds other linears than its configuration names.
    """
    if lost := losses(trial.configuration):
        raise UnsupportedError(
            f"the peft format can't express trial {trial.record.number}; it would lose: {'; '.join(lost)}",
            remedy="Export it with --to script, which keeps everything.",
        )
    loaded = load_model(trial.backbone, trial.task)
    texts = [["An example.", "Another example of more words."]] * len(trial.task.text_columns)
    applied = load(loaded.model, trial.adapter, dict(loaded.tokenizer(*texts, padding=True, return_tensors="pt")))
    tensors = {_peft_name(name): tensor for name, tensor in load_file(trial.adapter / TENSORS).items()}
    linears = low_ranks(applied)
    _require_same(linears, {name: tensor.shape[0] for name, tensor in tensors.items()})
    config = _config(linears, applied, head_modules(loaded.model, applied.topology.head), trial.model_reference)
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    (folder / "README.md").write_text(_readme(trial), encoding="utf-8")


def losses(configuration: Configuration) -> list[str]:
    """Return in words what of a configuration the format can't express."""
    lora = [module for module in configuration.modules if module.method == "lora"]
    unknown = sorted({name for module in lora for name in module.options} - set(EXPRESSED_OPTIONS))
    differing = [name for name in COMMON_OPTIONS if len({module.options.get(name, False) for module in lora}) > 1]
    return [
        *(Configuration((module,)).describe() for module in configuration.modules if module.method != "lora"),
        *(["a trained head without any LoRA"] if not lora else []),
        *(f"LoRA's option {name}" for name in unknown),
        *(f"LoRA's option {name}, which differs between layers" for name in differing),
    ]


def low_ranks(applied: AppliedModules) -> dict[str, LowRank]:
    """Return the update of every linear that a LoRA-only configuration adapts, by full name."""
    found: dict[str, LowRank] = {}
    for _, module in resolve(applied.configuration, applied.topology):
        # The format's own default for alpha is not ours, so alpha is always written.
        alpha = float(module.options.get("alpha", 2 * module.size))
        for linear in applied.topology.linears(module.layers, module.targets):
            if linear.name in found:
                raise UnsupportedError("the peft format can't express two LoRA updates on one linear", value=linear.name)
            found[linear.name] = LowRank(module.size, alpha)
    return found


def head_modules(model: nn.Module, head: Sequence[str]) -> list[str]:
    """Return the names of the fewest modules that hold the head's parameters and nothing else.

    Raises:
        UnsupportedError: A parameter of the head has frozen siblings in its own module.
    """
    frozen = {name for name, _ in model.named_parameters()} - set(head)
    chosen: set[str] = set()
    for name in head:
        parts = name.split(".")
        outermost_first = (".".join(parts[:depth]) for depth in range(1, len(parts)))
        module = next((one for one in outermost_first if not any(other.startswith(f"{one}.") for other in frozen)), None)
        if module is None:
            raise UnsupportedError("the peft format saves the head as whole modules; a part of one was trained", value=name)
        chosen.add(module)
    return sorted(chosen)


def _peft_name(name: str) -> str:
    match = LORA_TENSOR.fullmatch(name)
    if match is None:
        return f"base_model.model.{name}"
    # The library drops ".weight" from the magnitudes of DoRA, which once were bare parameters.
    leaf = "" if match["part"] == "lora_magnitude_vector" else match["leaf"]
    return f"base_model.model.{match['linear']}.{match['part']}{leaf}"


def _require_same(linears: Mapping[str, LowRank], rows: Mapping[str, int]) -> None:
    """Check that the tensors are those of the linears: one lora_A each, with as many rows as its rank."""
    prefix, suffix = "base_model.model.", ".lora_A.weight"
    ranks = {name.removeprefix(prefix).removesuffix(suffix): rank for name, rank in rows.items() if name.endswith(suffix)}
    wanted = {name: linear.rank for name, linear in linears.items()}
    if ranks != wanted:
        differing = sorted(name for name in ranks.keys() | wanted if ranks.get(name) != wanted.get(name))
        raise VerificationError("the saved LoRA tensors must be those that the configuration names", value=differing)


def _config(linears: Mapping[str, LowRank], applied: AppliedModules, saved: Sequence[str], model: str) -> dict[str, Any]:
    """Return `adapter_config.json`: the most common rank and alpha, and patterns for the linears that differ."""
    common = Counter(linears.values()).most_common(1)[0][0]
    special = {name: linear for name, linear in sorted(linears.items()) if linear != common}
    options: Mapping[str, Scalar] = resolve(applied.configuration, applied.topology)[0][1].options
    transposed = {linear.name for block in applied.topology.blocks for linear in block.linears if linear.transposed}
    return {
        "peft_type": "LORA",
        "peft_version": version("peft"),
        "task_type": "SEQ_CLS",
        "base_model_name_or_path": model,
        # True, which the library itself writes, would leave nothing to train in a model wrapped with this file.
        "inference_mode": False,
        "r": common.rank,
        "lora_alpha": _whole(common.alpha),
        "rank_pattern": {name: linear.rank for name, linear in special.items()},
        # The library doesn't rescale alpha where a pattern changes the rank.
        "alpha_pattern": {name: _whole(linear.alpha) for name, linear in special.items()},
        "lora_dropout": options["dropout"],
        "use_dora": options["dora"],
        "use_rslora": options["rslora"],
        # The library takes the principal part out of the backbone's weights again when it loads the adapter.
        "init_lora_weights": "pissa" if options["pissa"] else True,
        "fan_in_fan_out": any(name in transposed for name in linears),
        "bias": "none",
        "target_modules": sorted(linears),
        "modules_to_save": list(saved),
    }


def _whole(alpha: float) -> float:
    return int(alpha) if alpha == int(alpha) else alpha


def _readme(trial: FinishedTrial) -> str:
    template = Template((Path(__file__).parent / "template" / "peft.md").read_text(encoding="utf-8"))
    return template.substitute(
        trial=trial.record.number,
        task=trial.task.name,
        configuration=trial.configuration.describe(),
        parameters=f"{trial.record.trainable_parameters:,}",
        model=trial.model_reference,
        model_code=repr(trial.model_reference),
        n_labels=trial.task.n_outputs,
        metrics=metric_lines(trial.record.metrics),
        max_length=trial.budget.max_length,
    )
