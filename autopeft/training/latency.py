"""How long a trained model takes to answer."""

import time
from contextlib import suppress
from statistics import median

import torch

from autopeft.errors import UnsupportedError
from autopeft.methods.applied import AppliedModules
from autopeft.tasks import Batch, Encoded
from autopeft.training.batches import evaluation_batches
from autopeft.training.device import synchronize

N_WARM_UP = 3
N_TIMED = 20


def latency_seconds(applied: AppliedModules, split: Encoded) -> float:
    """Return the median seconds of a forward pass over one example, the one of median length, in the precision of the model's weights.

    Modules are merged first if the configuration merges, as they would be where speed counts; nothing but `eject` is left to do with
    them then.
    """
    with suppress(UnsupportedError):  # what can't merge runs as it was trained
        applied.merge()
    model = applied.model
    device = next(model.parameters()).device
    by_length = [index for batch in evaluation_batches(split, len(split)) for index in batch]
    batch = split.batch([by_length[len(by_length) // 2]]).to(device)
    model.eval()
    with torch.inference_mode():
        return median([_seconds(model, split, batch, device) for _ in range(N_WARM_UP + N_TIMED)][N_WARM_UP:])


def _seconds(model: torch.nn.Module, split: Encoded, batch: Batch, device: torch.device) -> float:
    began = time.perf_counter()
    split.family.forward(model, batch)
    synchronize(device)
    return time.perf_counter() - began
