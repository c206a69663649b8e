"""Any number of labels for a text or a pair of texts."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from autopeft.errors import InvalidInputError
from autopeft.tasks.columns import is_sequence, label_sets, shares
from autopeft.tasks.details import MAX_CLASSES, Detail, of_counts
from autopeft.tasks.encoded import Batch, Encoded
from autopeft.tasks.families.sequence import SequenceFamily
from autopeft.tasks.family import Columns, all_finite, stacked
from autopeft.tasks.metric import LOSS, Metric
from autopeft.tasks.metrics import MULTI_LABEL
from autopeft.tasks.thresholds import best_threshold

if TYPE_CHECKING:
    from torch import Tensor

    from autopeft.tasks.table import Table
    from autopeft.tasks.task import Split, Task

MAX_LABELS = 1000
_THRESHOLD = "threshold"


class MultiLabel(SequenceFamily):
    """Binary cross-entropy of every label; a label is predicted where its probability is above a threshold.

    The threshold is the one of the largest micro F1 on validation examples. It is one for all labels: that is what maximises micro F1,
    and few validation examples have a rare label, to which a threshold of its own would fit by chance.
    """

    name: ClassVar[str] = "multi_label"
    settings_form: ClassVar[Any] = {_THRESHOLD: float}
    summary: ClassVar[str] = "any number of labels for a text, or a pair of texts"
    columns_in_words: ClassVar[str] = "a column of text or more, and a column of labels: a list, or names with ; or | between them"
    problem_type: ClassVar[str] = "multi_label_classification"

    @classmethod
    def claims(cls, table: "Table", columns: Columns) -> bool:
        """Lists in most rows say so; names with semicolons may be anything, and need the kind to be given."""
        assert columns.target is not None
        return 2 * sum(map(is_sequence, table.column(columns.target))) > len(table)

    @classmethod
    def make_task(cls, table: "Table", name: str, columns: Columns) -> "Task":
        """Take the labels from the training examples."""
        from autopeft.tasks.task import Task

        assert columns.target is not None
        labels = tuple(sorted({label for row in label_sets(table, columns.target) for label in row}))
        if not 2 <= len(labels) <= MAX_LABELS:
            raise InvalidInputError(
                f"{table.source}: the label column {columns.target!r} must hold 2 to {MAX_LABELS:,} different labels", value=len(labels)
            )
        metrics = ("micro_f1", "macro_f1", "mean_average_precision", "loss")
        return Task(name, cls.name, columns.inputs, columns.target, labels, "micro_f1", metrics, cls.low_cost)

    @classmethod
    def metrics_of(cls, labels: Sequence[str]) -> tuple[Metric, ...]:
        """Return the metrics."""
        return (*(Metric(name) for name in MULTI_LABEL if name != LOSS.name), LOSS)

    @classmethod
    def check(cls, task: "Task") -> None:
        """Check the labels."""
        super().check(task)
        if len(task.labels) < 2:
            raise InvalidInputError("a task with several labels needs two or more label names", value=task.labels)

    def targets(self, table: "Table", ids: Mapping[str, int]) -> NDArray[np.float64]:
        """Return examples x labels, 1 where an example has a label."""
        found = np.zeros((len(table), len(self.task.labels)))
        for row, names in enumerate(label_sets(table, self.task.target_column)):
            for name in names:
                if name not in ids:
                    raise InvalidInputError(
                        f"{table.where(row)}: the labels in column {self.task.target_column!r} must be ones of the training data",
                        value=name,
                        remedy="Correct it, or add examples of it to the training data.",
                    )
                found[row, ids[name]] = 1
        return found

    def require_trainable(self, split: "Split", source: str) -> None:
        """Check that the labels differ."""
        if len(np.unique(split.targets, axis=0)) < 2:
            raise InvalidInputError(
                f"{source}: the training labels must differ", value=len(split), remedy="Add examples with other labels."
            )

    def summarise(self, split: "Split") -> str:
        """Say how many labels there are, how many an example has, and which share of examples has each."""
        labels = np.asarray(split.targets)
        each = shares(self.task.labels, labels.sum(axis=0).tolist(), len(split))
        return f"{len(self.task.labels)} labels in {len(split):,} training examples, {labels.sum(axis=1).mean():.2g} an example: {each}"

    def loss(self, outputs: Any, batch: Batch) -> "Tensor":
        """Return the cross-entropy of every label, its mean over labels, summed over rows."""
        from torch.nn import functional

        logits = outputs.logits.float()
        each: Tensor = functional.binary_cross_entropy_with_logits(logits, batch.targets.to(logits.dtype), reduction="none")
        return each.mean(dim=1).sum()

    @property
    def threshold(self) -> float:
        """The logit above which a label is predicted: 0, a probability of one half, until it is tuned."""
        return float(self.task.settings.get(_THRESHOLD, 0.0))

    def tuned(self, predictions: Sequence[Any], encoded: Encoded) -> "Task":
        """Return the task with the threshold of the largest micro F1."""
        if not all_finite(predictions):
            return self.task
        found = best_threshold(stacked(predictions).ravel(), np.asarray(encoded.references).ravel())
        return replace(self.task, settings={**self.task.settings, _THRESHOLD: found})

    def score_arrays(self, scores: NDArray[np.float64], labels: NDArray[Any]) -> dict[str, float]:
        """Return the metrics of logits."""
        above = scores - self.threshold
        return {name: float(MULTI_LABEL[name](scores if name == LOSS.name else above, labels)) for name in self.task.metrics}

    def details(self, predictions: Sequence[Any], encoded: Encoded) -> list[Detail]:
        """Return scores of each label, and the threshold of its probability that would have given it the best F1 on these examples."""
        from scipy.special import expit
        from sklearn.metrics import precision_recall_curve

        true = np.asarray(encoded.references) > 0
        chances, threshold = expit(stacked(predictions)), float(expit(self.threshold))
        given = stacked(predictions) > self.threshold
        counts = {
            label: (int((true[:, column] & given[:, column]).sum()), int(true[:, column].sum()), int(given[:, column].sum()))
            for column, label in enumerate(self.task.labels)
        }
        rows = []
        for column in np.argsort(-true.sum(axis=0), kind="stable")[:MAX_CLASSES]:
            if not true[:, column].any():
                continue
            label, (hits, n_true, n_given) = self.task.labels[column], counts[self.task.labels[column]]
            precision, recall, thresholds = precision_recall_curve(true[:, column], chances[:, column])
            f1 = 2 * precision * recall / np.maximum(precision + recall, np.finfo(float).tiny)
            best = int(f1[:-1].argmax())
            usual = 2 * hits / max(1, n_true + n_given)
            rows.append((label, round(usual, 4), round(float(thresholds[best]), 4), round(float(f1[best]), 4)))
        title = f"Best threshold of each label; {threshold:.4f} is used for all"
        return [
            of_counts("Scores per label", "label", counts),
            Detail(title, ("label", "F1", "best threshold", "F1 there"), tuple(rows)),
        ]

    def trivial_scores(self, split: "Split") -> dict[str, float]:
        """Return the best of one set of labels for all: those that more than so many examples have, for any number."""
        labels = np.asarray(split.targets)
        share = labels.mean(axis=0)
        given = (np.repeat((share >= least)[None], len(labels), axis=0) for least in np.unique(share))
        each = [self.score_arrays(self.threshold + one - 0.5, labels) for one in given]
        return self.best_of(each)

    def placeholders(self, table: "Table") -> list[Any]:
        """Return one label for each row."""
        return [[self.task.labels[0]]] * len(table)

    def answers_of(self, predictions: Sequence[Any], encoded: Encoded) -> list[dict[str, Any]]:
        """Return the labels that fit, and the probability of each."""
        from scipy.special import expit

        labels = self.task.labels
        return [
            {
                "prediction": [label for label, score in zip(labels, row, strict=True) if score > self.threshold],
                "probabilities": dict(zip(labels, expit(row).round(6).tolist(), strict=True)),
            }
            for row in stacked(predictions)
        ]

    @property
    def some_targets(self) -> NDArray[Any]:
        """No label."""
        return np.zeros((2, len(self.task.labels)))

    @property
    def head_in_words(self) -> str:
        """How many labels there are."""
        return f"says of each of {len(self.task.labels)} labels whether it fits"

    @property
    def target_in_words(self) -> str:
        """The labels."""
        return f"`{self.task.target_column}`, any of: {', '.join(f'`{label}`' for label in self.task.labels)}"

    @property
    def model_arguments(self) -> dict[str, Any]:
        """The number of outputs, and that they are independent."""
        return {**super().model_arguments, "problem_type": self.problem_type}

    @property
    def answer_code(self) -> str:
        """The labels whose logits are above the threshold."""
        return f"[label for label, logit in zip({list(self.task.labels)!r}, logits[0]) if logit > {self.threshold:.6g}]"

    def answer(self, target: Any) -> str:
        """Return the labels' names."""
        return ", ".join(label for label, is_there in zip(self.task.labels, target, strict=True) if is_there) or "none"
