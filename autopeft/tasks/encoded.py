"""Examples as a model takes them: encoded once per worker, and put together as batches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor, device

    from autopeft.tasks.family import Family


class Batch(NamedTuple):
    """Some rows as tensors."""

    inputs: "dict[str, Tensor]"
    """Arguments of the model's forward pass by name."""
    targets: "Tensor"
    """What the outputs are compared with; its shape is the family's own."""
    kept: "Tensor | None" = None
    """Positions at which outputs are needed, counted from the end, where a family doesn't need all."""

    def to(self, where: "device") -> "Batch":
        """Return the batch on a device."""
        kept = None if self.kept is None else self.kept.to(where)
        return Batch({name: tensor.to(where) for name, tensor in self.inputs.items()}, self.targets.to(where), kept)


@dataclass(frozen=True, eq=False)
class Encoded:
    """A split as rows of numbers. A row is what goes through the model at once: an example, or one of its windows or answers."""

    family: "Family"
    """The task's family; it collates, and computes loss and metrics."""
    processor: Any
    """The tokenizer or feature extractor that encoded the rows."""
    rows: Sequence[Mapping[str, Any]]
    """Per row its fields, not padded."""
    references: Sequence[Any] | NDArray[Any]
    """What the predictions of all rows are scored against."""
    lengths: NDArray[np.int64]
    """Positions of each row: batches are made of rows of similar length."""
    weights: NDArray[np.int64]
    """How many terms each row adds to the loss: 1, or the number of tokens that are learnt from."""
    whole: NDArray[np.int64] | None = None
    """Positions of each example before what is too long was cut; None where examples have no length."""

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, indices: Sequence[int]) -> Batch:
        """Return some rows as a batch, computed as precisely in training as in measuring."""
        import torch

        with torch.autocast("cpu", enabled=False):  # Whisper's feature extractor multiplies matrices, and fails with bfloat16
            return self.family.collate(self, indices)

    def take(self, indices: Sequence[int]) -> Self:
        """Return these rows alone, to look at a model with. They can't be scored: an example may have other rows too."""
        chosen = list(indices)
        return replace(self, rows=[self.rows[index] for index in chosen], lengths=self.lengths[chosen], weights=self.weights[chosen])

    @cached_property
    def longest(self) -> int:
        """Positions of the longest row."""
        return int(self.lengths.max())
