"""The targets that a trial can be exported to. Listing them imports nothing heavy."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from autopeft.errors import UnknownNameError
from autopeft.export.subject import FinishedTrial

Writer = Callable[[FinishedTrial, Path], None]
"""Writes a trial into an empty folder.

Raises:
    UnsupportedError: The target can't express the trial's configuration; names everything that would be lost.
"""


@dataclass(frozen=True)
class Target:
    """One thing that a trial can become."""

    summary: str
    location: str
    """Where its writer is found when it is first used: "module:function"."""

    @property
    def writer(self) -> Writer:
        """The function that writes it."""
        module, _, function = self.location.partition(":")
        writer: Writer = getattr(import_module(module), function)
        return writer


TARGETS: Mapping[str, Target] = {
    "peft": Target("LoRA and head as a folder that PeftModel.from_pretrained loads", "autopeft.export.peft_adapter:write"),
    "script": Target("any adapter with a training script on transformers.Trainer", "autopeft.export.trainer_script:write"),
}


def get_target(name: str) -> Target:
    """Return the target of this name.

    Raises:
        UnknownNameError: There is none.
    """
    if name not in TARGETS:
        raise UnknownNameError("export target", name, TARGETS)
    return TARGETS[name]
