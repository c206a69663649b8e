"""What tests of several targets look at."""

import torch

from autopeft.methods.checkpoint import load
from autopeft.tasks import family_of
from autopeft.training.model import load_model

BATCH = {"input_ids": torch.tensor([[4, 5, 6, 7, 8], [9, 4, 10, 0, 0]]), "attention_mask": torch.tensor([[1] * 5, [1] * 3 + [0] * 2])}


def trained(trial):
    """Return our model with the trial's adapter, ready to predict."""
    model = load_model(trial.backbone, family_of(trial.task)).model
    load(model, trial.adapter, BATCH)
    return model.eval()


def scales(model):
    """{module: (rank, alpha, scaling)} of every LoRA layer of peft, whoever put it there."""
    found = {}
    for name, module in model.named_modules():
        if hasattr(module, "lora_A") and hasattr(module, "scaling"):
            ((adapter, rank),) = module.r.items()
            found[name.removeprefix("base_model.model.")] = (rank, module.lora_alpha[adapter], module.scaling[adapter])
    return found
