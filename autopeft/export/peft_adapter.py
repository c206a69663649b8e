"""Export as a folder that the peft library loads: LoRA, possibly of several ranks, and the task head.

The adapter's tensors are written as they are, under the library's names; what they mean (which linears, ranks, scales) goes into
`adapter_config.json`. Nothing of the library is needed for that.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from autopeft.configuration import Configuration
from autopeft.errors import UnsupportedError, VerificationError
from autopeft.export.card import write_card
from autopeft.export.finished_trial import FinishedTrial
from autopeft.export.low_rank import LowRank, LowRanks, low_ranks, split_off, whole
from autopeft.export.plan import ExportPlan, Written
from autopeft.export.serving import servings
from autopeft.export.trained import load_trained
from autopeft.methods.adapter_files import TENSORS
from autopeft.tasks import family_of

_PREFIX = "base_model.model."
LORA_TENSOR = re.compile(r"(?P<linear>.+?)(\.base_layer)*\.(?P<part>lora_A|lora_B|lora_magnitude_vector)\.[^.]+(?P<leaf>\.weight)$")


def plan(trial: FinishedTrial) -> ExportPlan:
    """Plan `adapter_config.json`, `adapter_model.safetensors`, the tokenizer and a model card.

    Raises:
        UnsupportedError: The trial has no LoRA.
    """
    kept, lost = split_off(trial.configuration)
    return ExportPlan(lambda folder: _write(trial, kept, lost, folder), tuple(lost))


def _write(trial: FinishedTrial, kept: Configuration, lost: Sequence[str], folder: Path) -> Written:
    """Write the folder.

    Raises:
        UnavailableError: The backbone can't be loaded.
        UnsupportedError: Only a part of a module of the head was trained.
        VerificationError: The adapter is of another backbone, or holds other linears than its configuration names.
    """
    trained = load_trained(trial)
    topology = trained.applied.topology
    updates = low_ranks(kept, topology)
    task = family_of(trial.task).fold(trained.model, topology.head)
    head = {name: trained.model.get_parameter(name).detach().clone() for name in topology.head}
    tensors = dict(_peft_tensors(load_file(trial.adapter / TENSORS) | head, updates.linears, topology.head))
    _require_same(updates.linears, {name: tensor.shape[0] for name, tensor in tensors.items()})
    saved = head_modules(trained.model, topology.head)
    config = _config(updates, saved, trial)
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    trained.processor.save_pretrained(folder)
    notes = tuple(one.describe() for one in servings(updates, saved, trial.model_reference))
    write_card(replace(trial, task=task), folder, "peft", lost, model=trained.model, serving=notes)
    return Written(task, notes)


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


def _peft_tensors(tensors: Mapping[str, Tensor], linears: Mapping[str, LowRank], head: Sequence[str]) -> list[tuple[str, Tensor]]:
    """Return the tensors of LoRA on some linears, and of the head, under the library's names."""
    found = [(f"{_PREFIX}{name}", tensors[name]) for name in head]
    for name, tensor in tensors.items():
        match = LORA_TENSOR.fullmatch(name)
        if match is not None and match["linear"] in linears:
            # The library drops ".weight" from the magnitudes of DoRA, which once were bare parameters.
            leaf = "" if match["part"] == "lora_magnitude_vector" else match["leaf"]
            found.append((f"{_PREFIX}{match['linear']}.{match['part']}{leaf}", tensor))
    return found


def _require_same(linears: Mapping[str, LowRank], rows: Mapping[str, int]) -> None:
    """Check that the tensors are those of the linears: one lora_A each, with as many rows as its rank."""
    suffix = ".lora_A.weight"
    ranks = {name.removeprefix(_PREFIX).removesuffix(suffix): rank for name, rank in rows.items() if name.endswith(suffix)}
    wanted = {name: linear.rank for name, linear in linears.items()}
    if ranks != wanted:
        differing = sorted(name for name in ranks.keys() | wanted if ranks.get(name) != wanted.get(name))
        raise VerificationError("the saved LoRA tensors must be those that the configuration names", value=differing)


def _config(updates: LowRanks, saved: Sequence[str], trial: FinishedTrial) -> dict[str, Any]:
    """Return `adapter_config.json`: the most common rank and alpha, and patterns for the linears that differ."""
    common, special = updates.common, updates.special
    return {
        "peft_type": "LORA",
        "peft_version": version("peft"),
        "task_type": family_of(trial.task).peft_task_type or None,
        "base_model_name_or_path": trial.model_reference,
        # True, which the library itself writes, would leave nothing to train in a model wrapped with this file.
        "inference_mode": False,
        "r": common.rank,
        "lora_alpha": whole(common.alpha),
        "rank_pattern": {name: linear.rank for name, linear in special.items()},
        # The library doesn't rescale alpha where a pattern changes the rank.
        "alpha_pattern": {name: whole(linear.alpha) for name, linear in special.items()},
        "lora_dropout": updates.options["dropout"],
        "use_dora": updates.options["dora"],
        "use_rslora": updates.options["rslora"],
        # The library takes the principal part out of the backbone's weights again when it loads the adapter.
        "init_lora_weights": "pissa" if updates.options["pissa"] else True,
        "fan_in_fan_out": updates.transposed,
        "bias": "none",
        "target_modules": sorted(updates.linears),
        "modules_to_save": list(saved) or None,
    }
