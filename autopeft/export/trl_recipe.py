"""Export as a configuration for TRL's supervised fine-tuning."""

import yaml

from autopeft.export import language_model
from autopeft.export.finished_trial import FinishedTrial
from autopeft.export.language_model import Recipe, Trainer
from autopeft.export.plan import ExportPlan


def plan(trial: FinishedTrial) -> ExportPlan:
    """Plan `sft.yaml`; errors as in `language_model.plan`."""
    return language_model.plan(trial, TRAINER)


def _files(recipe: Recipe) -> dict[str, str]:
    targets = list(recipe.linears)
    if len(targets) == 1:  # TRL takes a list of one for a regular expression, matched against the whole name
        targets = [rf".*\.{targets[0].replace('.', chr(92) + '.')}"]
    config = {
        "model_name_or_path": recipe.model,
        "dtype": "float32",
        "dataset_name": "data",
        "dataset_test_split": "validation",
        "output_dir": "trained",
        "use_peft": True,
        "lora_r": recipe.common.rank,
        "lora_alpha": recipe.alpha,
        "lora_dropout": recipe.options["dropout"],
        "lora_target_modules": targets,
        "use_dora": recipe.options["dora"],
        "use_rslora": recipe.options["rslora"],
        "learning_rate": recipe.training["learning_rate"],
        "lr_scheduler_type": "linear",
        "warmup_steps": recipe.training["warmup_fraction"],
        "weight_decay": recipe.training["weight_decay"],
        "num_train_epochs": recipe.budget.epochs,
        "per_device_train_batch_size": recipe.budget.batch_size,
        "max_length": recipe.sequence_length,
        "eval_strategy": "epoch",
        "activation_checkpointing": False,
        "bf16": False,
        "seed": recipe.seed,
    }
    if recipe.trust_remote_code:
        config["trust_remote_code"] = True
    if recipe.quantize == "nf4":
        config |= {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "use_bnb_nested_quant": True}
    if recipe.quantize == "int8":
        config["load_in_8bit"] = True
    return {"sft.yaml": yaml.safe_dump(config, sort_keys=False)}


TRAINER = Trainer("TRL", "1.16", "trl sft --config sft.yaml", _files, options=("dropout", "dora", "rslora"), whole_alpha=True)
