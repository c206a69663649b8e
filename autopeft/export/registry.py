"""The targets that a trial can be exported to. Listing them imports nothing heavy."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module

from autopeft.errors import UnknownNameError
from autopeft.export.plan import ExportPlan

Planner = Callable[..., ExportPlan]
"""Says what a trial, its first argument, would lose in a target's form, and how to write what is left.

Raises:
    UnsupportedError: Nothing of use would be left.
"""


@dataclass(frozen=True)
class Target:
    """One thing that a trial can become."""

    summary: str
    module: str
    """The module of `autopeft.export` whose function `plan` makes it; imported when it is first used."""

    @property
    def planner(self) -> Planner:
        """The function that plans it."""
        planner: Planner = import_module(f"autopeft.export.{self.module}").plan
        return planner


TARGETS: Mapping[str, Target] = {
    "peft": Target("LoRA and head as a folder that PeftModel.from_pretrained loads", "peft_adapter"),
    "script": Target("any adapter with a training script on transformers.Trainer", "trainer_script"),
    "merged": Target("a plain transformers model, for methods that fold into its weights", "merged_model"),
    "onnx": Target("an ONNX graph of the merged model, for classifiers and others that answer in one pass", "onnx_model"),
    "adapters": Target("adapters, prefixes, LoRA and head as a folder that AdapterHub's adapters loads", "adapterhub_adapter"),
    "trl": Target("a configuration for trl sft, to train a language model anew", "trl_recipe"),
    "axolotl": Target("a configuration for axolotl train, to train a language model anew", "axolotl_recipe"),
    "llamafactory": Target("a configuration for llamafactory-cli train, to train a language model anew", "llamafactory_recipe"),
    "unsloth": Target("a script on unsloth's FastLanguageModel, to train a language model anew", "unsloth_recipe"),
}


def get_target(name: str) -> Target:
    """Return the target of this name.

    Raises:
        UnknownNameError: There is none.
    """
    if name not in TARGETS:
        raise UnknownNameError("export target", name, TARGETS)
    return TARGETS[name]
