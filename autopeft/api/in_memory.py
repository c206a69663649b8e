"""Data and models that a call gets in memory: what their settings are called meanwhile, and how they are written into the run's folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from autopeft.errors import InvalidInputError
from autopeft.loops.in_memory import InMemory
from autopeft.study.directory import write_atomically
from autopeft.tasks.entry import ROLES
from autopeft.tasks.in_memory import is_path, to_file


class Saved(Protocol):
    """A model, tokenizer, image processor or feature extractor of transformers."""

    def save_pretrained(self, save_directory: Any) -> Any:
        """Write it into a folder."""


def in_memory(arguments: Mapping[str, Any]) -> dict[str, InMemory]:
    """Return what is in memory among a search's arguments, by setting.

    Raises:
        InvalidInputError: Examples are none, or a model came without its tokenizer or is no whole model.
    """
    found = {role: _examples(arguments[role], role) for role in ROLES if not (arguments[role] is None or is_path(arguments[role]))}
    model, tokenizer = arguments["model"], arguments["tokenizer"]
    if model is None or is_path(model):
        if tokenizer is not None:
            remedy = "Leave it out: a model that is named comes with its own."
            raise InvalidInputError("a tokenizer is for a model in memory", value=type(tokenizer).__name__, remedy=remedy)
        return found
    return found | {"model": _model(model, tokenizer)}


def _examples(examples: object, role: str) -> InMemory:
    name, content = to_file(examples, role)
    return InMemory(name, lambda path: write_atomically(path, content))


def _model(model: Any, tokenizer: Any) -> InMemory:
    if not callable(getattr(model, "save_pretrained", None)):
        remedy = "Hand over a model of transformers, or give a hub id or a folder."
        raise InvalidInputError("model must be a name or a model with save_pretrained", value=type(model).__name__, remedy=remedy)
    if not callable(getattr(tokenizer, "save_pretrained", None)):
        remedy = "Hand it over too, tokenizer=..., or the image processor or feature extractor."
        raise InvalidInputError("a model in memory must come with its tokenizer", value=type(tokenizer).__name__, remedy=remedy)

    def save(path: Path) -> None:
        tokenizer.save_pretrained(path)
        model.save_pretrained(path)
        if not (path / "config.json").is_file():  # as of peft's models, which save their adapter alone
            remedy = "Of a model of peft, hand over what merge_and_unload() returns."
            raise InvalidInputError("model must be a whole model of transformers", value=type(model).__name__, remedy=remedy)

    return InMemory("model", save)
