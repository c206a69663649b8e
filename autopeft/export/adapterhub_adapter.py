"""Export as a folder that AdapterHub's adapters library loads: bottleneck adapters, a prefix, LoRA, and the task head.

Symbols of the formulas are those of `autopeft.methods.block_deltas`: the library's serial adapter with both norms and its parallel one
compute the same. A prefix is kept there for all layers together, a LoRA and a prefix once for all layers.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from autopeft.configuration import PeftModule
from autopeft.errors import UnsupportedError
from autopeft.export.adapterhub_modules import OTHER_ROLES, PLACES, ROLES, split_off
from autopeft.export.card import write_card
from autopeft.export.finished_trial import FinishedTrial
from autopeft.export.low_rank import whole
from autopeft.export.plan import ExportPlan, Written
from autopeft.export.trained import TrainedModel, load_trained
from autopeft.methods.topology import Block
from autopeft.tasks import family_of

VERSION = "adapters.1.3.0"
"""The version of the library whose format is written."""
NAME = "autopeft"


def plan(trial: FinishedTrial) -> ExportPlan:
    """Plan `adapter_config.json`, the tensors of adapter and head, and a model card.

    Raises:
        UnsupportedError: The backbone is of a family for which the names are not known here, or nothing can be expressed.
        UnavailableError: The backbone can't be loaded.
    """
    trained = load_trained(trial)
    family = str(trained.model.config.model_type)  # type: ignore[union-attr]
    if family not in PLACES:
        raise UnsupportedError(f"the adapters form is written for {', '.join(PLACES)}", value=family)
    kept, lost = split_off(trial.configuration, family)
    if not kept:
        words = trial.configuration.describe()
        raise UnsupportedError(f"the adapters form can express nothing of trial {trial.record.number}: {words}")
    return ExportPlan(lambda folder: _write(trial, kept, lost, trained, family, folder), tuple(lost))


def _write(
    trial: FinishedTrial, kept: Sequence[PeftModule], lost: Sequence[str], trained: TrainedModel, family: str, folder: Path
) -> Written:
    model: Any = trained.model
    topology = trained.applied.topology
    configs: list[dict[str, Any]] = []
    tensors: dict[str, Tensor] = {}
    for module in kept:
        blocks = topology.placed(module.layers)
        left_out = [block.index for block in topology.blocks if block not in blocks]
        configs.append({**_config(module, topology.hidden_size), "leave_out": left_out})
        tensors.update(_tensors(module, blocks, trained, family))
    config = configs[0] if len(configs) == 1 else {"architecture": "union", "configs": configs}
    about = {
        "hidden_size": topology.hidden_size,
        "model_class": type(model).__name__,
        "model_name": trial.model_reference,
        "model_type": family,
        "version": VERSION,
    }
    labels = {label: index for index, label in enumerate(trial.task.labels)} or None
    task = family_of(trial.task).fold(model, topology.head)
    head = {name: tensor.detach().clone() for name, tensor in trained.applied.head_parameters.items()}
    # A fresh pooler inside the backbone is loaded along with the adapter, what stands on top with the head.
    inside = {name: tensor for name, tensor in head.items() if name.startswith(f"{model.base_model_prefix}.")}
    save_file({**tensors, **inside}, folder / "adapter.safetensors")
    save_file({name: tensor for name, tensor in head.items() if name not in inside}, folder / "model_head.safetensors")
    trained.processor.save_pretrained(folder)
    _write_json(folder / "adapter_config.json", {"config": config, "name": NAME, **about})
    _write_json(
        folder / "head_config.json",
        {"config": None, "name": None, "label2id": labels, "num_labels": max(1, len(trial.task.labels)), **about},
    )
    write_card(replace(trial, task=task), folder, "adapters", lost, model=trained.model)
    return Written(task)


def reduction_factor(hidden_size: int, size: int) -> float:
    """Return the factor from which the library computes the bottleneck size, as int(hidden_size // factor)."""
    exact = hidden_size / size
    return exact if int(hidden_size // exact) == size else hidden_size / (size + 0.5)


def _config(module: PeftModule, hidden_size: int) -> dict[str, Any]:
    """Return a module in the library's words, without its layers."""
    options = module.options
    if module.method == "prefix":
        # Its own default would put an MLP before the prefix.
        return {"architecture": "prefix_tuning", "prefix_length": module.size, "flat": True}
    if module.method == "lora":
        targets = module.targets or ("query", "value")
        return {
            "architecture": "lora",
            "r": module.size,
            "alpha": whole(float(options.get("alpha", 2 * module.size))),
            "dropout": options.get("dropout", 0.0),
            "selfattn_lora": any(role in ROLES for role in targets),
            "attn_matrices": [letter for role, letter in ROLES.items() if role in targets],
            **{name: role in targets for role, name in OTHER_ROLES.items()},
        }
    is_parallel = module.method == "parallel_adapter"
    return {
        "mh_adapter": False,
        "output_adapter": True,
        "reduction_factor": reduction_factor(hidden_size, module.size),
        "non_linearity": options.get("activation", "relu"),
        "is_parallel": is_parallel,
        "original_ln_before": not is_parallel,
        "scaling": float(options.get("scale", 4.0 if is_parallel else 1.0)),
        **({"init_weights": "mam_adapter"} if is_parallel else {}),
    }


def _tensors(module: PeftModule, blocks: Sequence[Block], trained: TrainedModel, family: str) -> Mapping[str, Tensor]:
    """Return what a module learnt, under the library's names."""
    place, prefixes = PLACES[family]
    found: dict[str, Tensor] = {}
    for block in blocks:
        if module.method.endswith("_adapter"):
            kind = module.method.removesuffix("_adapter")
            for part, name in (("down", "adapter_down.0"), ("up", "adapter_up")):
                for leaf in ("weight", "bias"):
                    tensor = trained.model.get_parameter(f"{block.name}.autopeft.{kind}.{module.method}.{part}.{leaf}")
                    found[f"{block.name}.{place}.{NAME}.{name}.{leaf}"] = tensor
        elif module.method == "lora":
            for linear in block.select(module.targets or ("query", "value")):
                layer: Any = trained.model.get_submodule(linear.name)
                for part in ("lora_A", "lora_B"):
                    ((_, factor),) = getattr(layer, part).items()
                    found[f"{linear.name}.loras.{NAME}.{part}"] = factor.weight
    if module.method == "prefix":
        pairs = []
        for block in blocks:
            (attention,) = block.attentions
            prefix: Any = trained.model.get_submodule(f"{attention.name}.autopeft.prefixes.prefix")
            pairs += [prefix.key, prefix.value]
        # The library has one vector: positions x (key and value of each layer) x heads x width.
        pool = f"{trained.model.base_model_prefix}.prefix_tuning.prefix_tunings.{NAME}.{prefixes}.control_trans"
        found[pool] = torch.stack(pairs).permute(2, 0, 1, 3).flatten()
    return {name: tensor.detach().clone().contiguous() for name, tensor in found.items()}


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
