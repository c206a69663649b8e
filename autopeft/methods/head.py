"""Which parameters are a model's task head."""

import inspect

from torch import nn
from transformers import PreTrainedModel

_TARGETS = frozenset({"labels", "start_positions"})
"""Arguments of the forward pass by which a model with a task head is distinguished from a bare backbone."""


def head_parameter_names(model: nn.Module) -> tuple[str, ...]:
    """Return the names of the parameters that were put on top of the pretrained backbone for the task.

    That is everything outside `base_model_prefix` on a model without output embeddings: a classifier, a pooler beside the backbone.
    Some models, such as Whisper's for audio classification, hold their backbone by another name: there it is every member that is a
    transformers model of its own. A language model's output layer is part of what was pretrained, so such a model has no head; nor has
    a bare backbone.
    """
    prefix = getattr(model, "base_model_prefix", "")
    if not prefix or _has_output_embeddings(model):
        return ()
    if hasattr(model, prefix):
        return tuple(name for name, _ in model.named_parameters() if not name.startswith(f"{prefix}."))
    return _outside_members(model)


def parameters_not_loaded(model: nn.Module) -> tuple[str, ...]:
    """Return the names of the parameters that the model's checkpoint lacked, such as a decoder's new cross-attention; they are random.

    Transformers marks what it has loaded. Of a model that wasn't loaded by it, nothing is said.
    """
    loaded = {name: getattr(parameter, "_is_hf_initialized", False) for name, parameter in model.named_parameters()}
    return tuple(name for name, mark in loaded.items() if not mark) if any(loaded.values()) else ()


def _outside_members(model: nn.Module) -> tuple[str, ...]:
    members = [child for child in model.children() if isinstance(child, PreTrainedModel)]
    if not members or _TARGETS.isdisjoint(inspect.signature(model.forward).parameters):
        return ()
    pretrained = {id(parameter) for member in members for parameter in member.parameters()}  # shared embeddings bear the model's name
    return tuple(name for name, parameter in model.named_parameters() if id(parameter) not in pretrained)


def _has_output_embeddings(model: nn.Module) -> bool:
    get = getattr(model, "get_output_embeddings", None)
    return get is not None and get() is not None
