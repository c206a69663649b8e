"""Nested state, such as an optimiser's, as bytes: tensors as safetensors, the rest as JSON. Nothing is ever pickled."""

import json
from typing import Any

import torch
from safetensors.torch import load as read_tensors
from safetensors.torch import save as write_tensors

from autopeft.errors import InvalidInputError

_STRUCTURE = "structure"


def pack_tree(tree: Any) -> bytes:
    """Return dictionaries, lists and tuples of tensors, numbers, texts, truth values and None as bytes.

    Raises:
        InvalidInputError: Something else is in it.
    """
    tensors: dict[str, torch.Tensor] = {}
    text = json.dumps(_described(tree, tensors))
    tensors[_STRUCTURE] = torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)
    content: bytes = write_tensors(tensors)
    return content


def unpack_tree(content: bytes) -> Any:
    """Return what `pack_tree` was given, its tensors on the processor."""
    tensors = read_tensors(content)
    return _rebuilt(json.loads(bytes(tensors[_STRUCTURE].numpy())), tensors)


def _described(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """Return the value as JSON, its tensors as numbers into the tensors put aside."""
    if isinstance(value, torch.Tensor):
        tensors[str(len(tensors))] = value.detach().cpu().contiguous().clone()  # two names of one memory are refused
        return {"tensor": len(tensors) - 1}
    if isinstance(value, dict):
        return {"pairs": [[_described(key, tensors), _described(entry, tensors)] for key, entry in value.items()]}
    if isinstance(value, list | tuple):
        return {type(value).__name__: [_described(entry, tensors) for entry in value]}
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise InvalidInputError(
        "a training's state must be made of tensors, numbers, texts, and lists, tuples and dictionaries of them", value=type(value).__name__
    )


def _rebuilt(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensors[str(content)]
    if kind == "pairs":
        return {_rebuilt(key, tensors): _rebuilt(entry, tensors) for key, entry in content}
    entries = [_rebuilt(entry, tensors) for entry in content]
    return tuple(entries) if kind == "tuple" else entries
