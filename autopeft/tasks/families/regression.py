"""A number for a text or a pair of texts."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from autopeft.errors import InvalidInputError
from autopeft.tasks.columns import numbers
from autopeft.tasks.encoded import Batch, Encoded
from autopeft.tasks.families.sequence import SequenceFamily
from autopeft.tasks.family import LOSS, Columns, Metric, stacked
from autopeft.tasks.metrics import REGRESSION

if TYPE_CHECKING:
    from torch import Tensor, nn

    from autopeft.tasks.table import Table
    from autopeft.tasks.task import Split, Task


class Regression(SequenceFamily):
    """Squared error of one output."""

    name: ClassVar[str] = "regression"
    summary: ClassVar[str] = "a number for a text, or a pair of texts"
    problem_type: ClassVar[str] = "regression"

    @classmethod
    def claims(cls, table: "Table", columns: Columns) -> bool:
        """What is a label column and no classes is numbers, or refused."""
        return True

    @classmethod
    def make_task(cls, table: "Table", name: str, columns: Columns) -> "Task":
        """Search by rank correlation: it asks for the order and not the scale."""
        from autopeft.tasks.task import Task

        assert columns.target is not None
        return Task(name, cls.name, columns.inputs, columns.target, (), "spearman", ("spearman", "pearson", "loss"), cls.low_cost)

    @classmethod
    def metrics_of(cls, labels: Sequence[str]) -> tuple[Metric, ...]:
        """Return the metrics."""
        return (*(Metric(name) for name in REGRESSION if name != LOSS.name), LOSS)

    @classmethod
    def check(cls, task: "Task") -> None:
        """Check that there are no labels."""
        super().check(task)
        if task.labels:
            raise InvalidInputError("regression has no label names", value=task.labels)

    def targets(self, table: "Table", ids: Mapping[str, int]) -> NDArray[np.float64]:
        """Return numbers."""
        return numbers(table, self.task.target_column)

    def require_trainable(self, split: "Split", source: str) -> None:
        """Check that the numbers differ."""
        if len(np.unique(split.targets)) < 2:
            value = float(split.targets[0])
            raise InvalidInputError(f"{source}: the training labels must differ", value=value, remedy="Add examples with other labels.")

    def summarise(self, split: "Split") -> str:
        """Say where the numbers lie."""
        numbers = np.sort(np.asarray(split.targets))
        middle = numbers[len(numbers) // 2]  # a mean of the largest numbers there are would be infinite
        return f"numbers from {numbers[0]:g} to {numbers[-1]:g}, median {middle:g}, in {len(split):,} training examples"

    def loss(self, outputs: Any, batch: Batch) -> "Tensor":
        """Return the squared errors of rows x 1 outputs."""
        from torch.nn import functional

        return functional.mse_loss(outputs.logits.float()[:, 0], batch.targets.float(), reduction="sum")

    def score_arrays(self, scores: NDArray[np.float64], labels: NDArray[Any]) -> dict[str, float]:
        """Return the metrics of predicted numbers."""
        return {name: float(REGRESSION[name](scores[:, 0], labels)) for name in self.task.metrics}

    def trivial_scores(self, split: "Split") -> dict[str, float]:
        """Return what always the mean reaches."""
        scores = np.full((len(split), 1), np.asarray(split.targets).mean())
        return {name: value for name, value in self.score_arrays(scores, np.asarray(split.targets)).items() if name != LOSS.name}

    def start_head(self, model: "nn.Module", names: Sequence[str], encoded: Encoded) -> None:
        """Start the bias at the mean of the training targets: at a small rate, Adam would take hundreds of steps from 0 to there."""
        import torch

        with torch.no_grad():
            for name in names:
                if name.endswith("bias") and (bias := model.get_parameter(name)).numel() == 1:
                    bias.fill_(float(np.asarray(encoded.references).mean()))

    def placeholders(self, table: "Table") -> list[Any]:
        """Return a number for each row."""
        return [0.0] * len(table)

    def answers_of(self, predictions: Sequence[Any], encoded: Encoded) -> list[dict[str, Any]]:
        """Return the number."""
        return [{"prediction": float(row[0])} for row in stacked(predictions)]

    @property
    def some_targets(self) -> NDArray[Any]:
        """Two numbers."""
        return np.array([0.0, 1.0])

    @property
    def head_in_words(self) -> str:
        """That it is a number."""
        return "predicts a number"

    @property
    def target_in_words(self) -> str:
        """That it is a number."""
        return f"`{self.task.target_column}`: a number"

    @property
    def answer_code(self) -> str:
        """The output."""
        return "logits[0, 0].item()"

    def answer(self, target: Any) -> str:
        """Return the number, without digits that say nothing."""
        return f"{target:g}"
