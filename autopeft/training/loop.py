"""The training loop of a search: AdamW, linear warm-up and decay, gradient clipping, length-bucketed batches."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from autopeft.errors import AutopeftError
from autopeft.tasks import Task
from autopeft.training.tokens import Batch, TokenisedSplit, collate, training_batches

MAX_GRADIENT_NORM = 1.0
DEFAULTS: Mapping[str, float] = {"learning_rate": 1e-3, "weight_decay": 0.0, "warmup_fraction": 0.06}
"""Values of the hyper-parameters that a configuration leaves out."""


class DivergedError(AutopeftError, ArithmeticError):
    """The training loss is not a finite number any more."""


@dataclass(frozen=True)
class EpochResult:
    """What one epoch of training did."""

    epoch: int
    """Epochs done, from 1."""
    examples_seen: int
    """Training examples done since the start, repeats counted."""
    train_loss: float
    """Mean loss per example over the epoch."""


def train(
    model: nn.Module,
    trainable: Iterable[nn.Parameter],
    tokenizer: Any,
    task: Task,
    split: TokenisedSplit,
    *,
    hyper_parameters: Mapping[str, float],
    epochs: int,
    batch_size: int,
    seed: int,
    bfloat16: bool,
    after_epoch: Callable[[EpochResult], None],
) -> None:
    """Train the given parameters of a model in place.

    Args:
        model: A sequence classifier with its modules injected.
        trainable: The parameters to update.
        tokenizer: Pads batches.
        task: Decides the loss: cross-entropy, or mean squared error for regression.
        split: Training examples.
        hyper_parameters: Any of `DEFAULTS`'s keys.
        epochs: Passes over the examples.
        batch_size: Examples in one step.
        seed: Orders the batches.
        bfloat16: Multiply in bfloat16 (autocast); parameters and optimiser stay in float32.
        after_epoch: Called at the end of every epoch.

    Raises:
        DivergedError: The loss became NaN or infinite.
    """
    parameters = [parameter for parameter in trainable if parameter.requires_grad]
    settings = {**DEFAULTS, **hyper_parameters}
    device = next(model.parameters()).device
    rng = np.random.default_rng(seed)
    n_steps = epochs * math.ceil(len(split) / batch_size)
    optimizer = torch.optim.AdamW(parameters, lr=settings["learning_rate"], weight_decay=settings["weight_decay"])
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: linear_schedule(step, n_steps, settings["warmup_fraction"]))
    model.train()
    for epoch in range(1, epochs + 1):
        total = 0.0
        for indices in training_batches(split, batch_size, rng):
            batch = {name: tensor.to(device) for name, tensor in collate(tokenizer, split, indices).items()}
            labels = torch.as_tensor(split.labels[indices]).to(device)
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bfloat16):
                loss = task_loss(model, task, batch, labels)
            value = float(loss.detach())
            if not math.isfinite(value):
                raise DivergedError(
                    "training diverged: the loss is not finite",
                    value=value,
                    remedy=f"It happened in epoch {epoch}; lower the learning rate.",
                )
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(parameters, MAX_GRADIENT_NORM)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            total += value * len(indices)
        after_epoch(EpochResult(epoch, epoch * len(split), total / len(split)))


def task_loss(model: nn.Module, task: Task, batch: Batch, labels: torch.Tensor) -> torch.Tensor:
    """Return the mean loss of a batch, in float32: cross-entropy of the logits, or mean squared error for regression."""
    logits = model(**batch).logits.float()
    if task.kind == "regression":
        return functional.mse_loss(logits[:, 0], labels.float())
    return functional.cross_entropy(logits, labels)


def linear_schedule(step: int, n_steps: int, warmup_fraction: float) -> float:
    """Return the factor on the learning rate at a step (from 0): linear from 0 up over the warm-up, then linear down to 0."""
    warmup = round(warmup_fraction * n_steps)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return max(0.0, (n_steps - step) / max(1, n_steps - warmup))
