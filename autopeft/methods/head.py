"""Which parameters are a model's task head."""

from torch import nn


def head_parameter_names(model: nn.Module) -> tuple[str, ...]:
    """Return the names of the parameters that were put on top of the pretrained backbone for the task.

    That is everything outside `base_model_prefix` on a model without output embeddings: a classifier, a pooler beside the backbone.
    A language model's output layer is part of what was pretrained, so such a model has no head; nor has a bare backbone.
    """
    prefix = getattr(model, "base_model_prefix", "")
    if not prefix or not hasattr(model, prefix) or _has_output_embeddings(model):
        return ()
    return tuple(name for name, _ in model.named_parameters() if not name.startswith(f"{prefix}."))


def _has_output_embeddings(model: nn.Module) -> bool:
    get = getattr(model, "get_output_embeddings", None)
    return get is not None and get() is not None
