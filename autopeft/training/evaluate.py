"""Scores of a model on a split, and the task's metrics of them."""

from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from autopeft.tasks import Task, compute_metrics
from autopeft.training.arithmetic import CpuArithmetic
from autopeft.training.hidden_states import FrozenPart
from autopeft.training.tokens import EVALUATION_BATCH, TokenisedSplit, collate, evaluation_batches


def predict(
    model: nn.Module, tokenizer: Any, split: TokenisedSplit, *, bfloat16: bool = False, frozen: FrozenPart | None = None
) -> NDArray[np.float64]:
    """Return the scores of n examples: n x n_labels logits, or n predictions for regression.

    Args:
        model: A sequence classifier; it is left in the mode it was in.
        tokenizer: Its tokenizer.
        split: n examples.
        bfloat16: Multiply in bfloat16: three times faster where the processor can, but results differ between machines and
            batch shapes. Numbers that are kept are computed without.
        frozen: What need not be computed where it is known already; the scores are the same to the last bit.
    """
    device = next(model.parameters()).device
    scores: list[torch.Tensor] = []
    order: list[int] = []
    training = model.training
    model.eval()
    try:
        with torch.inference_mode(), CpuArithmetic(), torch.autocast(device.type, dtype=torch.bfloat16, enabled=bfloat16):
            for indices in evaluation_batches(split, EVALUATION_BATCH):
                batch = {name: tensor.to(device) for name, tensor in collate(tokenizer, split, indices).items()}
                with frozen.reused(split, indices) if frozen else nullcontext():
                    scores.append(model(**batch).logits.float().cpu())
                order.extend(indices)
    finally:
        model.train(training)
    in_order = torch.cat(scores).numpy().astype(np.float64)
    result = np.empty_like(in_order)
    result[order] = in_order
    return result[:, 0] if result.shape[1] == 1 else result


def evaluate(
    model: nn.Module, tokenizer: Any, task: Task, split: TokenisedSplit, *, bfloat16: bool = False, frozen: FrozenPart | None = None
) -> dict[str, float]:
    """Return the task's metrics of the model on a split; arguments as in `predict`."""
    return compute_metrics(task, predict(model, tokenizer, split, bfloat16=bfloat16, frozen=frozen), split.labels)
