import pytest

from autopeft.budget import FULL_EPOCHS, Budget
from autopeft.errors import InvalidInputError


def test_overrides_replace_only_what_is_given() -> None:
    assert Budget(train_examples=10).with_overrides(epochs=7, train_examples=None) == Budget(train_examples=10, epochs=7)


def test_round_trip_and_words() -> None:
    budget = Budget(train_examples=2000, epochs=2, evaluation_examples=None)
    assert Budget.from_dict(budget.to_dict()) == budget
    assert budget.describe() == "2,000 training examples x 2 epochs, batch 32, at most 128 tokens, all validation examples"
    assert budget.describe(2001).startswith("2,000 training examples")
    assert budget.describe(1999).startswith("all training examples")


def test_training_for_good_takes_all_data() -> None:
    low = Budget(train_examples=100, epochs=2, evaluation_examples=50, batch_size=16, max_length=64)
    assert low.full() == Budget(epochs=FULL_EPOCHS, batch_size=16, max_length=64)
    assert low.with_overrides(epochs=FULL_EPOCHS + 1).full().epochs == FULL_EPOCHS + 1
    assert low.full(epochs=1).epochs == 1


@pytest.mark.parametrize(
    ("n_train", "batch_size"), [(2000, 16), (800, 16), (799, 8), (400, 8), (399, 4), (3, 4)], ids=lambda value: f"{value:,}"
)
def test_few_examples_come_in_smaller_batches(n_train: int, batch_size: int) -> None:
    budget = Budget(train_examples=2000, epochs=2, batch_size=16)
    assert budget.with_enough_steps(n_train) == budget.with_overrides(batch_size=batch_size)


def test_batches_that_are_small_already_stay() -> None:
    for batch_size in (1, 3, 7):
        assert Budget(epochs=1, batch_size=batch_size).with_enough_steps(10).batch_size == batch_size


@pytest.mark.parametrize("field", ["train_examples", "epochs", "evaluation_examples", "batch_size", "max_length"])
@pytest.mark.parametrize("value", [0, -1, True, 1.5])
def test_values_must_be_counts(field: str, value: object) -> None:
    with pytest.raises(InvalidInputError, match=f"budget's {field} must be a whole number"):
        Budget.from_dict({field: value})


def test_unknown_key_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="no key 'epoch'"):
        Budget.from_dict({"epoch": 1})
