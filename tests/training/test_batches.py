from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from autopeft.budget import Budget
from autopeft.errors import InvalidInputError, UnsupportedError
from autopeft.tasks import Encoded, TaskData, family_of
from autopeft.tasks.text import padded_lengths
from autopeft.training.batches import batch_sizes, draw, epoch_batches, evaluation_batches, training_batches
from autopeft.training.runner import TrialRunner


def encoded(runner: TrialRunner, data: TaskData, max_length: int) -> Encoded:
    return family_of(data.task).encode(runner._loaded.processor, data.train, max_length)


@pytest.fixture(scope="module")
def split(runner: TrialRunner, data: TaskData) -> Encoded:
    return encoded(runner, data, 32)


def test_every_example_once_an_epoch_in_another_order(split: Encoded) -> None:
    rng = np.random.default_rng(0)
    epochs = [training_batches(split, 7, rng) for _ in range(2)]
    for batches in epochs:
        assert sorted(index for batch in batches for index in batch) == list(range(len(split)))
        assert max(map(len, batches)) == 7
    assert epochs[0] != epochs[1]


def test_batches_hold_similar_lengths(split: Encoded) -> None:
    batches = training_batches(split, 8, np.random.default_rng(0))
    within = np.mean([np.ptp(split.lengths[batch]) for batch in batches])
    assert within < np.ptp(split.lengths) / 2


@pytest.mark.parametrize("batch_tokens", [32, 100, 10_000])
def test_batches_of_tokens_hold_as_many_examples_as_have_room(split: Encoded, batch_tokens: int) -> None:
    rng, budget = np.random.default_rng(0), Budget(max_length=32, batch_tokens=batch_tokens)
    epochs = [epoch_batches(split, budget, rng) for _ in range(2)]
    for batches in epochs:
        assert sorted(index for batch in batches for index in batch) == list(range(len(split)))
        assert max(split.batch(batch).inputs["input_ids"].numel() for batch in batches) <= batch_tokens
        assert sorted(map(len, batches)) == sorted(batch_sizes(split, budget))
    assert len(epochs[0]) == 1 or epochs[0] != epochs[1]
    assert len(epochs[0]) <= 2 * padded_lengths(split).sum() / batch_tokens + 1


def test_batches_of_tokens_need_room_for_each_text_and_one_text_an_example(split: Encoded) -> None:
    with pytest.raises(InvalidInputError, match=r"room for the longest text, which may have 128 tokens \(got 100\)"):
        Budget(batch_tokens=100)
    several = replace(split, family=SimpleNamespace(name="embedding", processor="AutoTokenizer", one_sequence_a_row=False))
    with pytest.raises(UnsupportedError, match=r"examples that are one text each \(got 'embedding'\)"):
        batch_sizes(several, Budget(batch_tokens=1000))


def test_evaluation_goes_by_length(split: Encoded) -> None:
    order = [index for batch in evaluation_batches(split, 5) for index in batch]
    assert sorted(order) == list(range(len(split)))
    assert (np.diff(split.lengths[order]) >= 0).all()


@pytest.mark.parametrize("indices", [(3, 1, 4), (0,), range(20, 40)], ids=str)
def test_collate_equals_the_tokenizer_s_own_padding(runner: TrialRunner, data: TaskData, split: Encoded, indices: Sequence[int]) -> None:
    tokenizer = runner._loaded.processor
    texts = [[column[index] for index in indices] for column in data.train.inputs]
    longest = split.lengths[list(indices)].max()
    step = next(step for least, step in ((64, 8), (32, 4), (16, 2), (0, 1)) if longest >= least)
    padding = {"padding": True, "pad_to_multiple_of": step, "truncation": True, "max_length": 32, "return_tensors": "pt"}
    expected = {name: tensor[:, : split.lengths.max()] for name, tensor in tokenizer(*texts, **padding).items()}
    batch = split.batch(indices).inputs
    assert batch.keys() == expected.keys()
    assert all(torch.equal(batch[name], expected[name]) for name in batch)


def test_a_batch_is_never_longer_than_the_longest_example(runner: TrialRunner, data: TaskData) -> None:
    split = encoded(runner, data, 13)  # a model may have no more positions
    assert split.batch([int(split.lengths.argmax())]).inputs["input_ids"].shape == (1, 13)


def test_smaller_budgets_nest_in_larger(data: TaskData) -> None:
    small, large = (set(zip(*draw(data.train, n).inputs, strict=True)) for n in (10, 30))
    assert len(small) == 10
    assert small < large
    assert draw(data.train, 1000) is draw(data.train, None) is data.train


def test_long_texts_are_cut_and_counted(runner: TrialRunner, data: TaskData) -> None:
    split = encoded(runner, data, 9)
    n_words = np.array([len(f"{a} {b}".split()) for a, b in zip(*data.train.inputs, strict=True)])
    assert split.lengths.max() == 9
    assert (split.whole == n_words + 3).all()  # [CLS], and two [SEP]
    assert (encoded(runner, data, 512).whole == split.whole).all()
