"""The files of a saved adapter: what stands in them, and how they are written.

An adapter is two files. `adapter.json` holds the configuration, the backbone's identity (a digest of each of its tensors, and how they are
quantised), the head's names, library versions and the caller's metadata; `adapter.safetensors` holds the trained tensors by their names
in the model. Nothing is ever pickled. A description is read without torch: whoever only looks at a run must not wait for it.
"""

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from autopeft.configuration import Configuration
from autopeft.errors import InvalidInputError
from autopeft.forms import misfit
from autopeft.methods.topology import Topology

if TYPE_CHECKING:
    from torch import Tensor, nn

    from autopeft.methods.hook import TrainingHook

_FORM = {
    "configuration": Mapping[str, Any],
    "backbone": {"name": str, "class": str, "quantization": str, "tensors": Mapping[str, str]},
    "head": list[str],
    "metadata": Mapping[str, Any],
}
DESCRIPTION, TENSORS = "adapter.json", "adapter.safetensors"
_FORMAT = 1
_DECIDED = "autopeft_decided"
_LIBRARIES = ("torch", "transformers", "peft")


class Trained(Protocol):
    """What an adapter is made of."""

    configuration: Configuration
    topology: Topology
    hooks: "tuple[TrainingHook, ...]"

    def trainable_parameters(self) -> "dict[str, nn.Parameter]":
        """Return everything that is trained, by name."""


def pack(trained: Trained, metadata: Mapping[str, Any] | None = None) -> dict[str, bytes]:
    """Return an adapter's files, name to content, for processes that share no file system.

    Args:
        trained: Modules in place on their model.
        metadata: Anything that JSON can hold, for the reader's own use.

    Raises:
        InvalidInputError: The modules were ejected or merged, or the metadata is no JSON.
    """
    from safetensors.torch import save as write_tensors

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors_of(trained).items()}
    return {DESCRIPTION: _describe(trained, metadata or {}).encode(), TENSORS: write_tensors(tensors)}


def tensors_of(trained: Trained) -> "dict[str, Tensor]":
    """Return all tensors of an adapter, by name: what is trained, and what was decided in training (`autopeft.methods.hook`).

    Raises:
        InvalidInputError: The modules were ejected or merged.
    """
    decided = {f"{_DECIDED}.{index}.{name}": tensor for index, hook in enumerate(trained.hooks) for name, tensor in hook.tensors().items()}
    return {**trained.trainable_parameters(), **decided}


def require_whole(folder: Path) -> None:
    """Check that an adapter's files are there and can be read to their end, without reading what is in them.

    Raises:
        InvalidInputError: They aren't: the folder is no adapter's, or was copied or written in part.
    """
    from safetensors import SafetensorError, safe_open

    if missing := [name for name in (DESCRIPTION, TENSORS) if not (folder / name).is_file()]:
        raise InvalidInputError(f"an adapter's folder needs the file {missing[0]}", value=str(folder))
    remedy = "Copy it anew, or train the trial again: autopeft retrain."
    try:
        read_description((folder / DESCRIPTION).read_bytes())
        with safe_open(folder / TENSORS, framework="np"):
            pass
    except (InvalidInputError, SafetensorError) as error:
        raise InvalidInputError(f"the adapter is damaged: {error}", value=str(folder), remedy=remedy) from None


def read_description(content: bytes) -> dict[str, Any]:
    """Return the content of `adapter.json`.

    Raises:
        InvalidInputError: It is no description of an adapter, or one of a later format.
    """
    try:
        description = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"{DESCRIPTION} must be JSON: {error}") from None
    if not isinstance(description, dict) or description.get("format") != _FORMAT:
        found = description.get("format") if isinstance(description, dict) else None
        raise InvalidInputError(f"{DESCRIPTION} must have format {_FORMAT}", value=found, remedy="Another version of autopeft wrote it.")
    if missing := sorted(_FORM.keys() - description.keys()):
        raise InvalidInputError(f"{DESCRIPTION} lacks {', '.join(missing)}")
    if wrong := misfit(description, _FORM):
        raise InvalidInputError(f"{DESCRIPTION} can't be read: {wrong}")
    return description


def _describe(trained: Trained, metadata: Mapping[str, Any]) -> str:
    topology = trained.topology
    description = {
        "format": _FORMAT,
        "configuration": trained.configuration.to_dict(),
        "backbone": {
            "name": topology.model_name,
            "class": topology.model_class,
            "quantization": topology.quantisation,
            "tensors": {tensor.name: tensor.digest for tensor in topology.backbone()},
        },
        "head": list(topology.head),
        "versions": {name: version(name) for name in _LIBRARIES},
        "metadata": dict(metadata),
    }
    try:
        return json.dumps(description, indent=1)
    except TypeError as error:
        raise InvalidInputError(f"an adapter's metadata must be what JSON can hold: {error}") from error
