"""Export as a configuration for LLaMA-Factory."""

import json

import yaml

from autopeft.export import language_model
from autopeft.export.finished_trial import FinishedTrial
from autopeft.export.language_model import Recipe, Trainer
from autopeft.export.plan import ExportPlan

_COLUMNS = {"prompt": "prompt", "response": "completion"}


def plan(trial: FinishedTrial) -> ExportPlan:
    """Plan `train.yaml` and the description of the data; errors as in `language_model.plan`."""
    return language_model.plan(trial, TRAINER)


def _files(recipe: Recipe) -> dict[str, str]:
    config = {
        "model_name_or_path": recipe.model,
        "stage": "sft",
        "do_train": True,
        "dataset_dir": "data",
        "dataset": "train",
        "eval_dataset": "validation",
        # The prompt as it stands, without the marks of a chat.
        "template": "empty",
        "cutoff_len": recipe.sequence_length,
        "output_dir": "trained",
        "finetuning_type": "lora",
        "lora_rank": recipe.common.rank,
        "lora_alpha": recipe.alpha,
        "lora_dropout": recipe.options["dropout"],
        "lora_target": ",".join(recipe.linears),
        "use_dora": recipe.options["dora"],
        "use_rslora": recipe.options["rslora"],
        "learning_rate": recipe.training["learning_rate"],
        "lr_scheduler_type": "linear",
        "warmup_steps": recipe.warmup_steps,
        "weight_decay": recipe.training["weight_decay"],
        "num_train_epochs": recipe.budget.epochs,
        "per_device_train_batch_size": recipe.budget.batch_size,
        "eval_strategy": "epoch",
        "bf16": False,
        "seed": recipe.seed,
    }
    if recipe.trust_remote_code:
        config["trust_remote_code"] = True
    if bits := {"nf4": 4, "int8": 8}.get(recipe.quantize):
        config |= {"quantization_bit": bits, "quantization_method": "bnb"}
    if recipe.options["pissa"]:
        config |= {"pissa_init": True, "pissa_iter": -1}
    described = {name: {"file_name": f"{name}.jsonl", "columns": _COLUMNS} for name in ("train", "validation")}
    return {"train.yaml": yaml.safe_dump(config, sort_keys=False), "data/dataset_info.json": json.dumps(described, indent=2) + "\n"}


TRAINER = Trainer("LLaMA-Factory", "0.9.5", "llamafactory-cli train train.yaml", _files, whole_alpha=True)
