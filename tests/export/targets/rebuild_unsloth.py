"""Unsloth imports only where there is a GPU, so its script is read and not run."""

import ast
import importlib.util
from pathlib import Path

from peft import LoraConfig
from rebuild import show


def call(name):
    (found,) = (node for node in ast.walk(script) if isinstance(node, ast.Call) and ast.unparse(node.func) == name)
    return {keyword.arg: ast.literal_eval(keyword.value) for keyword in found.keywords}


def parameters(function, source):
    tree = ast.parse(source)
    return [
        [argument.arg for argument in node.args.args]
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name == function
    ]


script = ast.parse(Path("train.py").read_text())
unsloth = Path(importlib.util.find_spec("unsloth").submodule_search_locations[0])
loading, wrapping = call("FastLanguageModel.from_pretrained"), call("FastLanguageModel.get_peft_model")
(known,) = parameters("get_peft_model", (unsloth / "models" / "llama.py").read_text())
own = {name: wrapping.pop(name) for name in ("random_state",)}
accepted = [names for names in parameters("from_pretrained", (unsloth / "models" / "loader.py").read_text()) if set(loading) <= set(names)]
# What get_peft_model has no parameter for it hands on to LoraConfig, which refuses what it doesn't know.
config = LoraConfig(task_type="CAUSAL_LM", **wrapping)
show(
    config,
    loading["model_name"],
    handed_on=sorted(set(wrapping) - set(known)),
    unknown=sorted(set(own) - set(known)),
    loads=bool(accepted),
    dropout=config.lora_dropout,
    dora=config.use_dora,
    rslora=config.use_rslora,
)
