"""Predictions of a model on a split, and the task's metrics of them."""

from contextlib import nullcontext
from typing import Any

import torch
from torch import nn

from autopeft.tasks import Encoded
from autopeft.training.arithmetic import CpuArithmetic
from autopeft.training.batches import EVALUATION_BATCH, evaluation_batches
from autopeft.training.hidden_states import FrozenPart


def predict(model: nn.Module, split: Encoded, *, bfloat16: bool = False, frozen: FrozenPart | None = None) -> list[Any]:
    """Return what the split's family keeps of the outputs for each of its rows, such as logits.

    Args:
        model: A model of the family's class; it is left in the mode it was in.
        split: The rows.
        bfloat16: Multiply in bfloat16: three times faster where the processor can, but results differ between machines and
            batch shapes. Numbers that are kept are computed without.
        frozen: What need not be computed where it is known already; the predictions are the same to the last bit.
    """
    device = next(model.parameters()).device
    found: list[Any] = [None] * len(split)
    training = model.training
    model.eval()
    try:
        with torch.inference_mode(), CpuArithmetic(), torch.autocast(device.type, dtype=torch.bfloat16, enabled=bfloat16):
            for indices in evaluation_batches(split, EVALUATION_BATCH):
                batch = split.batch(indices).to(device)
                with frozen.reused(split, indices) if frozen else nullcontext():
                    reduced = split.family.reduce(split.family.forward(model, batch), batch)
                for index, prediction in zip(indices, reduced, strict=True):
                    found[index] = prediction
    finally:
        model.train(training)
    return found


def evaluate(model: nn.Module, split: Encoded, *, bfloat16: bool = False, frozen: FrozenPart | None = None) -> dict[str, float]:
    """Return the task's metrics of the model on a split; arguments as in `predict`."""
    return split.family.score(predict(model, split, bfloat16=bfloat16, frozen=frozen), split)


def score_generated(model: nn.Module, split: Encoded) -> dict[str, float]:
    """Return metrics of what the model writes for a split, by name; none where its family doesn't write."""
    training = model.training
    model.eval()
    try:
        with CpuArithmetic():
            return split.family.score_generated(model, split)
    finally:
        model.train(training)
