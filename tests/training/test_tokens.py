import numpy as np
import pytest

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


def test_collate_equals_the_tokenizer_s_own_padding(runner: TrialRunner, data: TaskData, split: TokenisedSplit) -> None:
    tokenizer = runner._loaded.tokenizer
    texts = [[column[index] for index in (3, 1, 4)] for column in data.train.texts]
    expected = tokenizer(*texts, padding=True, truncation=True, max_length=32, return_tensors="pt")
    batch = collate(tokenizer, split, (3, 1, 4))
    assert batch.keys() == expected.keys()
    assert all((batch[name] == expected[name]).all() for name in batch)


def test_smaller_budgets_nest_in_larger(runner: TrialRunner, data: TaskData) -> None:
    small, large = set(draw_examples(100, 10).tolist()), set(draw_examples(100, 40).tolist())
    assert len(small) == 10
    assert small < large
    assert len(tokenise(runner._loaded.tokenizer, data.train, 32, 10)) == 10
    assert len(tokenise(runner._loaded.tokenizer, data.train, 32, 1000)) == len(data.train)


def test_long_texts_are_cut(runner: TrialRunner, data: TaskData) -> None:
    assert tokenise(runner._loaded.tokenizer, data.train, 6).lengths.max() == 6
