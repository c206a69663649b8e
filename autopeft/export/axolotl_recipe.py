"""Export as a configuration for axolotl."""

from typing import Any

import yaml

from autopeft.export import language_model
from autopeft.export.finished_trial import FinishedTrial
from autopeft.export.language_model import Recipe, Trainer
from autopeft.export.plan import ExportPlan

_PROMPTS = {"field_instruction": "prompt", "field_output": "completion", "format": "{instruction}", "no_input_format": "{instruction}"}


def plan(trial: FinishedTrial) -> ExportPlan:
    """Plan `axolotl.yaml`; errors as in `language_model.plan`."""
    return language_model.plan(trial, TRAINER)


def _files(recipe: Recipe) -> dict[str, str]:
    config: dict[str, Any] = {
        "base_model": recipe.model,
        "datasets": [{"path": "data/train.jsonl", "ds_type": "json", "type": dict(_PROMPTS)}],
        "test_datasets": [{"path": "data/validation.jsonl", "ds_type": "json", "split": "train", "type": dict(_PROMPTS)}],
        "output_dir": "trained",
        "adapter": "lora",
        "lora_r": recipe.common.rank,
        "lora_alpha": recipe.alpha,
        "lora_dropout": recipe.options["dropout"],
        "lora_target_modules": list(recipe.linears),
        "lora_fan_in_fan_out": recipe.transposed,
        "learning_rate": recipe.training["learning_rate"],
        "lr_scheduler": "linear",
        "warmup_ratio": recipe.training["warmup_fraction"],
        "weight_decay": recipe.training["weight_decay"],
        "optimizer": "adamw_torch",
        "max_grad_norm": 1.0,
        "num_epochs": recipe.budget.epochs,
        "micro_batch_size": recipe.budget.batch_size,
        "gradient_accumulation_steps": 1,
        "sequence_len": recipe.sequence_length,
        "train_on_inputs": False,
        "bf16": False,
        "seed": recipe.seed,
    }
    if recipe.trust_remote_code:
        config["trust_remote_code"] = True
    if recipe.quantize == "nf4":
        config |= {"adapter": "qlora", "load_in_4bit": True}
    if recipe.quantize == "int8":
        config["load_in_8bit"] = True
    if recipe.special:
        # Keys are regular expressions, matched against the end of a linear's name.
        config["lora_rank_pattern"] = {name: linear.rank for name, linear in recipe.special.items()}
        config["lora_alpha_pattern"] = {name: int(linear.alpha) for name, linear in recipe.special.items()}
    switches = {"peft_use_dora": recipe.options["dora"], "peft_use_rslora": recipe.options["rslora"]}
    config |= {name: True for name, value in switches.items() if value}
    if recipe.options["pissa"]:
        config["peft_init_lora_weights"] = "pissa"
    return {"axolotl.yaml": yaml.safe_dump(config, sort_keys=False)}


TRAINER = Trainer("axolotl", "0.19", "axolotl train axolotl.yaml", _files, per_linear=True, whole_alpha=True)
