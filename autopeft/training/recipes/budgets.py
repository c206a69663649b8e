"""Batches and epochs at constant cost: as many examples go through the model, in other steps or from other passes."""

from collections.abc import Mapping
from dataclasses import replace

from autopeft.budget import Budget
from autopeft.training_parameters import TrainingValue, number


def trained_budget(budget: Budget, training: Mapping[str, TrainingValue], n_train: int) -> Budget:
    """Return what a configuration makes of a budget.

    Args:
        budget: What a trial may spend.
        training: The configuration's training parameters.
        n_train: How many training examples there are. Fewer passes over all of them cost less.
    """
    batch, epochs = number(training, "batch_factor"), number(training, "epochs_factor")
    found = budget
    if batch != 1:
        found = replace(
            found,
            batch_size=max(1, round(batch * budget.batch_size)),
            batch_tokens=None if budget.batch_tokens is None else max(budget.max_length, round(batch * budget.batch_tokens)),
        )
    n_epochs = max(1, round(epochs * budget.epochs))
    if n_epochs != budget.epochs:
        n_examples = min(n_train, budget.train_examples or n_train)
        found = replace(found, epochs=n_epochs, train_examples=max(1, min(n_train, round(n_examples * budget.epochs / n_epochs))))
    return found
