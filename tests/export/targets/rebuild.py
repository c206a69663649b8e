"""Wraps a language model as a trainer would from its files, in the trainer's own surroundings; prints what was wrapped as JSON."""

import json

from peft import get_peft_model
from transformers import AutoModelForCausalLM


def show(config, folder, **more):
    """Print {module: [rank, alpha, scaling]} of a model wrapped with a LoraConfig."""
    model = config if hasattr(config, "named_modules") else get_peft_model(AutoModelForCausalLM.from_pretrained(folder), config)
    modules = {
        name.removeprefix("base_model.model."): (module.r["default"], module.lora_alpha["default"], module.scaling["default"])
        for name, module in model.named_modules()
        if hasattr(module, "lora_A")
    }
    print("RESULT", json.dumps({"modules": modules, **more}))
