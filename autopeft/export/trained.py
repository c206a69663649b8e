"""The trial's model as training left it."""

from dataclasses import dataclass
from typing import Any

from torch import nn

from autopeft.export.subject import FinishedTrial
from autopeft.methods.applied import AppliedModules
from autopeft.methods.checkpoint import load
from autopeft.training.model import load_model


@dataclass(frozen=True)
class TrainedModel:
    """A trial's backbone with its adapter and head in place."""

    model: nn.Module
    tokenizer: Any
    applied: AppliedModules
    example_batch: dict[str, Any]
    """Two texts, encoded."""


def load_trained(trial: FinishedTrial) -> TrainedModel:
    """Load a trial's backbone and put its adapter onto it.

    Raises:
        UnavailableError: The backbone can't be loaded.
        VerificationError: The adapter is of another backbone, or holds other tensors than its configuration names.
    """
    loaded = load_model(trial.backbone, trial.task)
    texts = [["An example.", "Another example of more words."]] * len(trial.task.text_columns)
    batch = dict(loaded.tokenizer(*texts, padding=True, return_tensors="pt"))
    return TrainedModel(loaded.model, loaded.tokenizer, load(loaded.model, trial.adapter, batch), batch)
