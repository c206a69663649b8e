"""Texts as token ids, once per worker, and as batches of similar length."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from autopeft.tasks import Split

Batch = dict[str, torch.Tensor]
BUCKET_BATCHES = 20
"""Batches are cut from runs of so many batches sorted by length: little padding, and batches still differ every epoch."""
EVALUATION_BATCH = 64
"""Examples in a batch that is not trained on."""
LENGTH_STEP = 8
"""Batches are a multiple of so many positions long: tensors of few sizes leave few gaps in freed memory, a quarter of the peak."""
DATA_SEED = 0
"""Draws the examples of a budget; every trial of every search measures on the same ones."""


@dataclass(frozen=True)
class TokenisedSplit:
    """A split's examples as token ids."""

    examples: tuple[Mapping[str, list[int]], ...]
    """Per example the tokenizer's fields, unpadded."""
    labels: NDArray[Any]
    """Label ids (int64) or targets (float64)."""

    def __len__(self) -> int:
        return len(self.examples)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens per example."""
        return np.array([len(example["input_ids"]) for example in self.examples], dtype=np.int64)


def tokenise(tokenizer: Any, split: Split, max_length: int, n_examples: int | None = None) -> TokenisedSplit:
    """Tokenise a split, or so many of its examples drawn by a fixed seed.

    Args:
        tokenizer: A transformers tokenizer.
        split: Texts of one or two columns, and labels.
        max_length: Tokens after which an example is cut.
        n_examples: How many examples to draw; None, or more than there are, for all.
    """
    chosen = split if n_examples is None or n_examples >= len(split) else split.take(draw_examples(len(split), n_examples))
    fields = tokenizer(*(list(column) for column in chosen.texts), truncation=True, max_length=max_length)
    columns = [name for name in fields if name in tokenizer.model_input_names]
    examples = tuple({name: fields[name][i] for name in columns} for i in range(len(chosen)))
    return TokenisedSplit(examples, chosen.labels)


def draw_examples(n: int, n_examples: int) -> NDArray[np.int64]:
    """Return which of n examples a budget of `n_examples` uses: the first of a fixed shuffle, so smaller budgets nest in larger."""
    return np.sort(np.random.default_rng(DATA_SEED).permutation(n)[:n_examples])


def collate(tokenizer: Any, split: TokenisedSplit, indices: Sequence[int]) -> Batch:
    """Return examples as right-padded tensors of shape examples x positions, without labels.

    Positions are the longest example's tokens, rounded up to a multiple of `LENGTH_STEP`, but never more than any example of the split has.
    """
    chosen = [split.examples[index] for index in indices]
    longest = int(split.lengths[list(indices)].max())
    n_positions = min(longest + -longest % LENGTH_STEP, int(split.lengths.max()))
    padding = {"input_ids": int(tokenizer.pad_token_id)}
    return {
        name: torch.tensor([example[name] + [padding.get(name, 0)] * (n_positions - len(example[name])) for example in chosen])
        for name in chosen[0]
    }


def training_batches(split: TokenisedSplit, batch_size: int, rng: np.random.Generator) -> list[list[int]]:
    """Return one epoch's batches of indices: shuffled, length-bucketed, every example once."""
    order = rng.permutation(len(split))
    run = batch_size * BUCKET_BATCHES
    lengths = split.lengths
    buckets = [order[start : start + run] for start in range(0, len(order), run)]
    sorted_buckets = [bucket[np.argsort(lengths[bucket], kind="stable")] for bucket in buckets]
    batches = [bucket[i : i + batch_size].tolist() for bucket in sorted_buckets for i in range(0, len(bucket), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def evaluation_batches(split: TokenisedSplit, batch_size: int) -> Iterator[list[int]]:
    """Yield batches of indices in order of length: no more padding than must be."""
    order = np.argsort(split.lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size].tolist()
