"""Predictions of a model on a split, and the task's metrics of them."""

import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch import nn

from autopeft.tasks import Encoded, Family, family_of
from autopeft.tasks.generated import Written
from autopeft.tasks.metrics import Floats
from autopeft.tasks.text_scores import means
from autopeft.training.batches import EVALUATION_BATCH, evaluation_batches
from autopeft.training.cpu_kernels import CpuKernels
from autopeft.training.device import synchronize
from autopeft.training.hidden_states import FrozenPart
from autopeft.training.precision import in_bfloat16
from autopeft.training.turns import ALONE, Turn

N_DRAWS = 200
"""Times that the examples of a split are drawn with replacement."""
MIN_DRAWS, MAX_DRAWN = 50, 400_000
"""Many examples need fewer draws, for each takes longer: at least so many, and about so many examples in all."""
DRAW_SEED = 0
"""The same draws for every training on the same examples: their common part cancels out of a difference."""


def predict(model: nn.Module, split: Encoded, *, bfloat16: bool = False, frozen: FrozenPart | None = None, turn: Turn = ALONE) -> list[Any]:
    """Return what the split's family keeps of the outputs for each of its rows, such as logits.

    Args:
        model: A model of the family's class; it is left in the mode it was in.
        split: The rows.
        bfloat16: Multiply in bfloat16: three times faster where the processor can, but results differ between machines and
            batch shapes. Numbers that are kept are computed without.
        frozen: What need not be computed where it is known already; the predictions are the same to the last bit.
        turn: Lets other trials of the process go on between batches.
    """
    device = next(model.parameters()).device
    found: list[Any] = [None] * len(split)
    training = model.training
    model.eval()
    try:
        with torch.inference_mode(), CpuKernels(), in_bfloat16(device, bfloat16):
            for indices in evaluation_batches(split, EVALUATION_BATCH):
                batch = split.batch(indices).to(device)
                with frozen.reused(split, indices) if frozen else nullcontext():
                    outputs = split.family.forward(model, batch)
                with turn.away():
                    synchronize(device)
                reduced = split.family.reduce(outputs, batch)
                for index, prediction in zip(indices, reduced, strict=True):
                    found[index] = prediction
    finally:
        model.train(training)
    return found


def evaluate(
    model: nn.Module, split: Encoded, *, bfloat16: bool = False, frozen: FrozenPart | None = None, turn: Turn = ALONE
) -> dict[str, float]:
    """Return the task's metrics of the model on validation examples; arguments as in `predict`.

    What a family tunes by such examples is tuned first, as it is for the model that is kept.
    """
    return score(predict(model, split, bfloat16=bfloat16, frozen=frozen, turn=turn), split)


def score(predictions: Sequence[Any], split: Encoded) -> dict[str, float]:
    """Return the task's metrics of predictions on validation examples, by which what a family tunes is tuned first."""
    return family_of(split.family.tuned(predictions, split)).score(predictions, split)


def write(model: nn.Module, split: Encoded) -> list[Written]:
    """Return what the model writes for a split; nothing where its family doesn't write."""
    training = model.training
    model.eval()
    try:
        with CpuKernels():
            return split.family.write(model, split)
    finally:
        model.train(training)


def resampled_scores(predictions: Sequence[Any], split: Encoded) -> dict[str, list[float]]:
    """Return every metric on the examples drawn with replacement, once per draw (a bootstrap; Efron, 1979).

    Args:
        predictions: What `predict` returned.
        split: The same rows.

    Returns:
        Empty where a metric of a draw is not finite.
    """
    family = split.family
    return _by_name([family.score(*family.of_examples(predictions, split, examples)) for examples in _draws(len(split.references))])


def resampled_texts(family: Family, written: Sequence[Written], each: Mapping[str, Floats]) -> dict[str, list[float]]:
    """Return metrics of texts drawn with replacement, as `resampled_scores`, but for those that take long.

    Args:
        family: The kind of task.
        written: The texts.
        each: What `Family.score_each_written` found in them.
    """
    draws = _draws(len(written))
    together = [family.score_written_together([written[index] for index in draw], quickly=True) for draw in draws]
    return _by_name([means({name: values[draw] for name, values in each.items()}) | one for draw, one in zip(draws, together, strict=True)])


def _draws(n: int) -> list[list[int]]:
    """Return draws of n examples, the same for every training on the same examples."""
    rng = np.random.default_rng(DRAW_SEED)
    return [rng.integers(n, size=n).tolist() for _ in range(min(N_DRAWS, max(MIN_DRAWS, MAX_DRAWN // n)))]


def _by_name(draws: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    if not all(math.isfinite(value) for draw in draws for value in draw.values()):
        return {}
    return {name: [round(draw[name], 6) for draw in draws] for name in draws[0]}
