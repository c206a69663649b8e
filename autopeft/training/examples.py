"""The examples of a runner as its model reads them: drawn, encoded and checked once for each budget."""

from collections.abc import Mapping
from typing import NamedTuple

from torch import nn

from autopeft.budget import Budget
from autopeft.tasks import Encoded, Family, Split
from autopeft.training.batches import batch_sizes, draw
from autopeft.training.measurement import RunnerSettings
from autopeft.training.model import LoadedModel
from autopeft.training.readable import require_readable


class Seen(NamedTuple):
    """What is known of examples before anything is trained, as `BackboneFacts` has it."""

    lengths: Mapping[str, tuple[int, ...]]
    notes: tuple[str, ...]


class Examples:
    """Training, validation and test examples, encoded when they are first asked for.

    Args:
        settings: The examples as they are.
        family: The kind of task that they belong to.
        loaded: The model that reads them, and what encodes them.
    """

    def __init__(self, settings: RunnerSettings, family: Family, loaded: LoadedModel) -> None:
        self._settings, self._family, self._loaded = settings, family, loaded
        self._splits: dict[Budget, tuple[Encoded, Encoded]] = {}
        self._tests: dict[int, Encoded] = {}

    def of(self, budget: Budget, model: nn.Module | None = None) -> tuple[Encoded, Encoded]:
        """Return training and validation examples, which a model that carries no modules must be able to read when they are new.

        Raises:
            InvalidInputError: They can't be encoded, cut into batches or read.
        """
        if budget not in self._splits:
            train = self._encode(draw(self._settings.train, budget.train_examples), budget.max_length, training=True)
            batch_sizes(train, budget)  # what can't be cut into batches is an error before any trial
            validation = self._encode(draw(self._settings.validation, budget.evaluation_examples), budget.max_length)
            splits = {"training": train, "validation": validation}
            if (test := self.test(budget.max_length)) is not None:  # before hours of training
                splits["test"] = test
            for role, split in splits.items():
                self._family.require_measurable(split, role)
            if model is not None:
                for role, split in splits.items():
                    require_readable(model, split, role)
            self._splits[budget] = train, validation
        return self._splits[budget]

    def test(self, max_length: int) -> Encoded | None:
        """Return the test examples, cut at so many tokens; None where the settings have none."""
        if self._settings.test is None:
            return None
        if max_length not in self._tests:
            self._tests[max_length] = self._encode(self._settings.test, max_length)
        return self._tests[max_length]

    def seen(self, budget: Budget) -> Seen:
        """Return what is to be known of a budget's examples.

        Raises:
            InvalidInputError: As of `of`.
        """
        model = self._loaded.model
        splits = dict(zip(("training", "validation"), self.of(budget, model), strict=True))
        lengths = {role: tuple(split.whole.tolist()) for role, split in splits.items() if split.whole is not None}
        notes = [note for role, split in splits.items() for note in self._family.notes_on(model, split, role)]
        return Seen(lengths, tuple(notes))

    def _encode(self, split: Split, max_length: int, *, training: bool = False) -> Encoded:
        return self._family.encode(self._loaded.processor, split, max_length, training=training)
