"""A number for a text or a pair of texts.

A model learns standardised numbers (see `autopeft.tasks.standardisation`); predictions and metrics are of the numbers themselves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from autopeft.errors import InvalidInputError
from autopeft.tasks.columns import numbers
from autopeft.tasks.details import Cell, Detail
from autopeft.tasks.encoded import Batch, Encoded
from autopeft.tasks.families.sequence import SequenceFamily
from autopeft.tasks.family import Columns, stacked
from autopeft.tasks.metric import LOSS, Metric
from autopeft.tasks.metrics import REGRESSION
from autopeft.tasks.standardisation import Standardisation

if TYPE_CHECKING:
    from torch import Tensor, nn

    from autopeft.tasks.table import Table
    from autopeft.tasks.task import Split, Task

LARGEST = 1e150
"""Size of the largest number: the squared error of larger ones is infinite."""
_OUTPUT = "logits[0, 0].item()"
_N_PARTS = 5


class Regression(SequenceFamily):
    """Squared error of one output."""

    name: ClassVar[str] = "regression"
    settings_form: ClassVar[Any] = {"standardisation": Standardisation}
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
        """Return numbers.

        Raises:
            InvalidInputError: One is missing, is none, or is so large that its square is infinite.
        """
        found = numbers(table, self.task.target_column)
        if len(found) and abs(found[row := int(np.abs(found).argmax())]) > LARGEST:
            raise InvalidInputError(
                f"{table.where(row)}: a number to be predicted must be at most {LARGEST:g} in size, for errors are squared",
                value=float(found[row]),
                remedy="Give all numbers in a larger unit, or their logarithms.",
            )
        return found

    def fit(self, training: "Split") -> "Task":
        """Standardise by the training examples."""
        found = Standardisation.over(np.asarray(training.targets))
        return replace(self.task, settings={**self.task.settings, **found.to_settings()})

    def require_trainable(self, split: "Split", source: str) -> None:
        """Check that the numbers differ."""
        if len(np.unique(split.targets)) < 2:
            value = float(split.targets[0])
            raise InvalidInputError(f"{source}: the training labels must differ", value=value, remedy="Add examples with other labels.")

    def summarise(self, split: "Split") -> str:
        """Say where the numbers lie, and which count as less far away in training."""
        numbers = np.sort(np.asarray(split.targets))
        middle = numbers[len(numbers) // 2]
        said = f"numbers from {numbers[0]:.10g} to {numbers[-1]:.10g}, median {middle:.10g}, in {len(split):,} training examples"
        for edge, beyond in ((self._standard.lowest, "below"), (self._standard.highest, "above")):
            if edge is not None:
                n = int((numbers < edge).sum() if beyond == "below" else (numbers > edge).sum())
                said += f"; {n:,} far {beyond} the others count as {edge:.10g} in training"
        return said

    @property
    def _standard(self) -> Standardisation:
        return Standardisation.of(self.task.settings)

    def collate(self, encoded: Encoded, indices: Sequence[int]) -> Batch:
        """Return texts, and standardised numbers."""
        import torch

        numbers = self._standard.standardise(np.asarray(encoded.references, dtype=np.float64)[list(indices)])
        return super().collate(encoded, indices)._replace(targets=torch.as_tensor(numbers.astype(np.float32)))

    def loss(self, outputs: Any, batch: Batch) -> "Tensor":
        """Return the squared errors of rows x 1 outputs."""
        from torch.nn import functional

        return functional.mse_loss(outputs.logits.float()[:, 0], batch.targets.float(), reduction="sum")

    @property
    def loss_unit(self) -> float:
        """The square of the scale."""
        return self._standard.scale * self._standard.scale

    def reduce(self, outputs: Any, batch: Batch) -> list[Any]:
        """Return each row's number, in the targets' own unit."""
        return list(self._standard.undo(outputs.logits.float().cpu().numpy().astype(np.float64)))

    def score_arrays(self, scores: NDArray[np.float64], labels: NDArray[Any]) -> dict[str, float]:
        """Return the metrics of predicted numbers."""
        return {name: float(REGRESSION[name](scores[:, 0], labels)) for name in self.task.metrics}

    def details(self, predictions: Sequence[Any], encoded: Encoded) -> list[Detail]:
        """Return how far off predictions are, in fifths of the examples from the smallest numbers to the largest."""
        true, found = np.asarray(encoded.references, dtype=np.float64), stacked(predictions)[:, 0]
        fifths = [some for some in np.array_split(np.argsort(true, kind="stable"), _N_PARTS) if len(some)]
        rows: tuple[tuple[Cell, ...], ...] = tuple(
            (
                f"{true[some].min():.4g} to {true[some].max():.4g}",
                len(some),
                *(round(float(value), 4) for value in (true[some].mean(), found[some].mean(), np.abs(found[some] - true[some]).mean())),
            )
            for some in fifths
        )
        return [Detail("Predictions by size", ("true numbers", "examples", "mean", "mean prediction", "mean absolute error"), rows)]

    def trivial_scores(self, split: "Split") -> dict[str, float]:
        """Return what always the mean reaches."""
        scores = np.full((len(split), 1), np.asarray(split.targets).mean())
        return {name: value for name, value in self.score_arrays(scores, np.asarray(split.targets)).items() if name != LOSS.name}

    def start_head(self, model: "nn.Module", names: Sequence[str], encoded: Encoded) -> None:
        """Start the bias at the mean of the training targets, which may be some of those that the centre is of."""
        import torch

        if (layer := _output_layer(model, names)) is not None:
            with torch.no_grad():
                layer[1].fill_(float(self._standard.standardise(np.asarray(encoded.references)).mean()))

    def fold(self, model: "nn.Module", names: Sequence[str]) -> "Task":
        """Let the output layer undo the standardisation, where it has a bias and float32 suffices."""
        import torch

        standard = self._standard
        if (layer := _output_layer(model, names)) is None or not standard.fits_float32:
            return self.task
        weight, bias = layer
        with torch.no_grad():
            weight.mul_(standard.scale)
            bias.copy_(bias.double() * standard.scale + standard.centre)
        return replace(self.task, settings={**self.task.settings, **Standardisation().to_settings()})

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
        """That it is a number, and what the model's output is where it is another one."""
        about = f"`{self.task.target_column}`: a number"
        return about if self._undone == _OUTPUT else f"{about}. The model's own output is another one: the number is `{self._undone}`"

    @property
    def answer_code(self) -> str:
        """The output, with what the head doesn't undo itself."""
        return self._undone

    @property
    def _undone(self) -> str:
        standard = self._standard
        return _OUTPUT if standard == Standardisation() else f"{standard.centre!r} + {standard.scale!r} * {_OUTPUT}"

    def answer(self, target: Any) -> str:
        """Return the number, without digits that say nothing."""
        return f"{target:.15g}"


def _output_layer(model: "nn.Module", names: Sequence[str]) -> "tuple[Tensor, Tensor] | None":
    """Return weight and bias of a head's layer of one output; None where it has no bias, as in most language models."""
    biases = [name for name in names if name.rpartition(".")[2] == "bias" and model.get_parameter(name).numel() == 1]
    if len(biases) != 1:
        return None
    weight = f"{biases[0].rpartition('.')[0]}.weight"
    return (model.get_parameter(weight), model.get_parameter(biases[0])) if weight in names else None
