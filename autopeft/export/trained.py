"""The trial's model as training left it."""

from dataclasses import dataclass
from typing import Any

from torch import nn

from autopeft.export.finished_trial import FinishedTrial
from autopeft.methods.applied import AppliedModules
from autopeft.methods.checkpoint import load
from autopeft.tasks import family_of
from autopeft.training.backbone import NO_QUANTISATION
from autopeft.training.device import pick_device
from autopeft.training.model import example_inputs, load_model


@dataclass(frozen=True)
class TrainedModel:
    """A trial's backbone with its adapter and head in place."""

    model: nn.Module
    processor: Any
    """A tokenizer or feature extractor."""
    applied: AppliedModules
    example_batch: dict[str, Any]
    """A tiny batch, as arguments of the forward pass."""


def load_trained(trial: FinishedTrial, *, any_quantisation: bool = False) -> TrainedModel:
    """Load a trial's backbone and put its adapter onto it; `any_quantisation` as in `autopeft.methods.checkpoint.load`.

    Raises:
        UnavailableError: The backbone can't be loaded.
        VerificationError: The adapter is of another backbone, or holds other tensors than its configuration names.
    """
    family = family_of(trial.task)
    # Another device may quantise otherwise than the one that trials ran on.
    loaded = load_model(trial.backbone, family, "cpu" if trial.backbone.quantize == NO_QUANTISATION else pick_device())
    batch = example_inputs(loaded, family)
    applied = load(loaded.model, trial.adapter, batch, any_quantisation=any_quantisation)
    return TrainedModel(loaded.model, loaded.processor, applied, batch)
