"""What one trial may spend."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from autopeft.errors import InvalidInputError
from autopeft.words import plural

FULL_EPOCHS = 6
"""Passes over all training examples when a configuration is retrained, unless a trial made more.

The best epoch is kept, so more of them cost time rather than quality. Three leave small learning rates on MRPC's majority class; six
take MRPC about as many minutes on one core that multiplies bfloat16.
"""

ENOUGH_STEPS, SMALLEST_BATCH = 100, 4
"""With fewer steps few configurations learn anything, and what a trial measures is chance: batches are made smaller, down to this."""


@dataclass(frozen=True)
class Budget:
    """How much data a trial trains and evaluates on, and for how long.

    Raises:
        InvalidInputError: A value is not a whole number of 1 or more, or a text has no room in a batch.
    """

    train_examples: int | None = None
    """Training examples to draw, by the data's own fixed seed. None: all of them."""
    epochs: int = 3
    """Passes over those examples."""
    evaluation_examples: int | None = None
    """Validation examples to measure on, by the data's own fixed seed. None: all of them."""
    batch_size: int = 32
    """Examples in one optimiser step."""
    max_length: int = 128
    """Tokens after which a text is cut."""
    batch_tokens: int | None = None
    """Most tokens in one optimiser step, padding counted, whatever number of examples that is. None: `batch_size` examples."""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value is None and name in ("train_examples", "evaluation_examples", "batch_tokens"):
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InvalidInputError(f"the budget's {name} must be a whole number of 1 or more", value=value)
        if self.batch_tokens is not None and self.batch_tokens < self.max_length:
            raise InvalidInputError(
                f"a batch must have room for the longest text, which may have {self.max_length} tokens",
                value=self.batch_tokens,
                remedy="Give more --batch-tokens, or a smaller --max-length.",
            )

    @property
    def epoch_ends(self) -> tuple[float, ...]:
        """Shares of the budget's steps at which its epochs end."""
        return tuple(epoch / self.epochs for epoch in range(1, self.epochs + 1))

    def with_overrides(self, **values: int | None) -> Self:
        """Return a copy in which every value given (not None) replaces the old one."""
        return replace(self, **{name: value for name, value in values.items() if value is not None})

    def full(self, epochs: int | None = None) -> Self:
        """Return the full budget of a retraining: all examples, and these epochs, or else `FULL_EPOCHS` or its own if they are more."""
        return replace(self, train_examples=None, evaluation_examples=None, epochs=epochs or max(FULL_EPOCHS, self.epochs))

    def with_enough_steps(self, n_train: int) -> Self:
        """Return a copy whose batches are halved until its examples make `ENOUGH_STEPS` steps, but not below `SMALLEST_BATCH`.

        Args:
            n_train: Training examples that there are.
        """
        n_seen = self.epochs * (n_train if self.train_examples is None else min(n_train, self.train_examples))
        batch_size = self.batch_size
        while n_seen < ENOUGH_STEPS * batch_size and batch_size >= 2 * SMALLEST_BATCH:
            batch_size //= 2
        return replace(self, batch_size=batch_size)

    def to_dict(self) -> dict[str, int | None]:
        """Return the JSON form. `batch_tokens` is only there if it is given: records from before it was known stay equal."""
        return {name: value for name, value in asdict(self).items() if name != "batch_tokens" or value is not None}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read the JSON form.

        Raises:
            InvalidInputError: A key is unknown or a value is out of range.
        """
        known = {entry.name for entry in fields(cls)}
        if unknown := set(data) - known:
            raise InvalidInputError(f"a budget has no key {min(unknown)!r}", remedy=f"Known: {', '.join(sorted(known))}.")
        return cls(**data)

    def describe(self, n_train: int | None = None, n_validation: int | None = None) -> str:
        """Say it in words: "1,000 training examples x 3 epochs, batch 32, at most 128 tokens, all validation examples".

        Args:
            n_train: Training examples that there are, which may be fewer than the budget admits; None if that isn't known.
            n_validation: The same of validation examples.
        """
        train = _of(self.train_examples, n_train, "training example")
        evaluation = _of(self.evaluation_examples, n_validation, "validation example")
        batch = f"batch {self.batch_size}" if self.batch_tokens is None else f"batches of {self.batch_tokens:,} tokens"
        return f"{train} x {plural(self.epochs, 'epoch')}, {batch}, at most {plural(self.max_length, 'token')}, {evaluation}"


def _of(most: int | None, there: int | None, what: str) -> str:
    return f"all {what}s" if most is None or (there is not None and most >= there) else plural(most, what)
