"""Which examples a budget uses, and in which batches: rows of similar length together."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from autopeft.budget import Budget
from autopeft.errors import UnsupportedError
from autopeft.tasks import Encoded, Split
from autopeft.tasks.text import padded_lengths

BUCKET_BATCHES = 20
"""Batches are cut from runs of so many batches sorted by length: little padding, and batches still differ every epoch."""
EVALUATION_BATCH = 64
"""Rows in a batch that is not trained on."""
DATA_SEED = 0
"""Draws the examples of a budget; every trial of every search measures on the same ones."""


def draw(split: Split, n_examples: int | None) -> Split:
    """Return so many examples of a split, drawn by a fixed seed; all of them for None, or where there aren't more.

    They are the first of a fixed shuffle, so that smaller budgets nest in larger.
    """
    if n_examples is None or n_examples >= len(split):
        return split
    chosen: NDArray[np.int64] = np.sort(np.random.default_rng(DATA_SEED).permutation(len(split))[:n_examples])
    return split.take(chosen)


def training_batches(split: Encoded, batch_size: int, rng: np.random.Generator) -> list[list[int]]:
    """Return one epoch's batches of indices: shuffled, length-bucketed, every row once."""
    order = rng.permutation(len(split))
    run = batch_size * BUCKET_BATCHES
    buckets = [order[start : start + run] for start in range(0, len(order), run)]
    sorted_buckets = [bucket[np.argsort(split.lengths[bucket], kind="stable")] for bucket in buckets]
    batches = [bucket[i : i + batch_size].tolist() for bucket in sorted_buckets for i in range(0, len(bucket), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def token_batches(split: Encoded, batch_tokens: int, rng: np.random.Generator) -> list[list[int]]:
    """Return one epoch's batches of indices, each with at most so many tokens, padding counted: in a random order, every row once.

    Rows go by the length that they are padded to, those of the same length shuffled, and a batch takes as many as have room. So every epoch
    has the same number of batches.
    """
    lengths = padded_lengths(split)
    order = rng.permutation(len(split))
    order = order[np.argsort(lengths[order], kind="stable")]
    batches: list[list[int]] = []
    for index, length in zip(order.tolist(), lengths[order].tolist(), strict=True):
        if not batches or (len(batches[-1]) + 1) * length > batch_tokens:
            batches.append([])
        batches[-1].append(index)
    return [batches[i] for i in rng.permutation(len(batches))]


def epoch_batches(split: Encoded, budget: Budget, rng: np.random.Generator) -> list[list[int]]:
    """Return one epoch's batches of indices, counted in examples or in tokens as the budget says."""
    if budget.batch_tokens is None:
        return training_batches(split, budget.batch_size, rng)
    return token_batches(split, budget.batch_tokens, rng)


def batch_sizes(split: Encoded, budget: Budget) -> list[int]:
    """Return how many examples the batches of an epoch have, in no particular order: the same in every epoch.

    Raises:
        UnsupportedError: Batches are to be counted in tokens, and the examples aren't texts that are computed one by one.
    """
    if budget.batch_tokens is None:
        return [min(budget.batch_size, len(split) - start) for start in range(0, len(split), budget.batch_size)]
    if split.family.processor != "AutoTokenizer" or not split.family.one_sequence_a_row:
        remedy = "Leave --batch-tokens out."
        raise UnsupportedError("batches of tokens are for examples that are one text each", value=split.family.name, remedy=remedy)
    return [len(batch) for batch in token_batches(split, budget.batch_tokens, np.random.default_rng(0))]


def evaluation_batches(split: Encoded, batch_size: int) -> Iterator[list[int]]:
    """Yield batches of indices in order of length: no more padding than must be, and no more positions than the family allows."""
    order = np.argsort(split.lengths, kind="stable")
    limit = split.family.evaluation_positions
    start = 0
    while start < len(order):
        # Rows rise in length, so the last of a batch is as long as all are padded to.
        size = batch_size
        while limit and size > 1 and size * split.lengths[order[min(start + size, len(order)) - 1]] > limit:
            size //= 2
        yield order[start : start + size].tolist()
        start += size
