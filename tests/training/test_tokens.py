from collections.abc import Sequence

import numpy as np
import pytest
import torch

from autopeft.tasks import TaskData
from autopeft.training.runner import TrialRunner
from autopeft.training.tokens import TokenisedSplit, collate, draw_examples, evaluation_batches, tokenise, training_batches


@pytest.fixture(scope="module")
def split(runner: TrialRunner, data: TaskData) -> TokenisedSplit:
    return tokenise(runner._loaded.tokenizer, data.train, 32)


def test_every_example_once_an_epoch_in_another_order(split: TokenisedSplit) -> None:
    rng = np.random.default_rng(0)
    epochs = [training_batches(split, 7, rng) for _ in range(2)]
    for batches in epochs:
        assert sorted(index for batch in batches for index in batch) == list(range(len(split)))
        assert max(map(len, batches)) == 7
    assert epochs[0] != epochs[1]


def test_batches_hold_similar_lengths(split: TokenisedSplit) -> None:
    batches = training_batches(split, 8, np.random.default_rng(0))
    within = np.mean([np.ptp(split.lengths[batch]) for batch in batches])
    assert within < np.ptp(split.lengths) / 2


def test_evaluation_goes_by_length(split: TokenisedSplit) -> None:
    order = [index for batch in evaluation_batches(split, 5) for index in batch]
    assert sorted(order) == list(range(len(split)))
    assert (np.diff(split.lengths[order]) >= 0).all()


@pytest.mark.parametrize("indices", [(3, 1, 4), (0,), range(20, 40)], ids=str)
def test_collate_equals_the_tokenizer_s_own_padding(
    runner: TrialRunner, data: TaskData, split: TokenisedSplit, indices: Sequence[int]
) -> None:
    tokenizer = runner._loaded.tokenizer
    texts = [[column[index] for index in indices] for column in data.train.texts]
    padding = {"padding": True, "pad_to_multiple_of": 8, "truncation": True, "max_length": 32, "return_tensors": "pt"}
    expected = {name: tensor[:, : split.lengths.max()] for name, tensor in tokenizer(*texts, **padding).items()}
    batch = collate(tokenizer, split, indices)
    assert batch.keys() == expected.keys()
    assert all(torch.equal(batch[name], expected[name]) for name in batch)


def test_a_batch_is_never_longer_than_the_longest_example(runner: TrialRunner, data: TaskData) -> None:
    split = tokenise(runner._loaded.tokenizer, data.train, 13)  # a model may have no more positions
    assert collate(runner._loaded.tokenizer, split, [int(split.lengths.argmax())])["input_ids"].shape == (1, 13)


def test_smaller_budgets_nest_in_larger(runner: TrialRunner, data: TaskData) -> None:
    small, large = set(draw_examples(100, 10).tolist()), set(draw_examples(100, 40).tolist())
    assert len(small) == 10
    assert small < large
    assert len(tokenise(runner._loaded.tokenizer, data.train, 32, 10)) == 10
    assert len(tokenise(runner._loaded.tokenizer, data.train, 32, 1000)) == len(data.train)


def test_long_texts_are_cut(runner: TrialRunner, data: TaskData) -> None:
    assert tokenise(runner._loaded.tokenizer, data.train, 6).lengths.max() == 6
