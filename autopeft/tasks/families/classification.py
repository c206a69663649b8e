"""One of several classes for a text or a pair of texts."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from autopeft.errors import InvalidInputError
from autopeft.tasks.columns import class_ids, class_names, looks_like_classes, shares
from autopeft.tasks.details import Detail, of_classes
from autopeft.tasks.encoded import Batch, Encoded
from autopeft.tasks.families.sequence import SequenceFamily
from autopeft.tasks.family import Columns, stacked
from autopeft.tasks.metric import LOSS, Metric
from autopeft.tasks.metrics import CLASSIFICATION

if TYPE_CHECKING:
    from torch import Tensor

    from autopeft.tasks.table import Table
    from autopeft.tasks.task import Split, Task

_BINARY = ("f1", "average_precision")
_RANK_EARLY = ("average_precision",)


class Classification(SequenceFamily):
    """Cross-entropy over classes."""

    name: ClassVar[str] = "classification"
    summary: ClassVar[str] = "one of several classes for a text, or a pair of texts"
    problem_type: ClassVar[str] = "single_label_classification"
    has_class_logits: ClassVar[bool] = True
    may_be_another_kind: ClassVar[bool] = True
    """Whether numbers could be amounts, and labels be several, by another kind of task."""

    @classmethod
    def claims(cls, table: "Table", columns: Columns) -> bool:
        """Booleans, names and whole numbers of few distinct values are classes."""
        assert columns.target is not None
        return looks_like_classes(table, columns.target)

    @classmethod
    def make_task(cls, table: "Table", name: str, columns: Columns) -> "Task":
        """Take the classes from the training labels."""
        from autopeft.tasks.task import Task

        assert columns.target is not None
        labels = class_names(table, columns.target)
        # Neither class of an own file is known to be the positive one: macro F1 treats them alike.
        extra = ("average_precision",) if len(labels) == 2 else ()
        metrics = ("accuracy", "macro_f1", *extra, "loss")
        return Task(name, cls.name, columns.inputs, columns.target, labels, "accuracy", metrics, cls.low_cost)

    @classmethod
    def metrics_of(cls, labels: Sequence[str]) -> tuple[Metric, ...]:
        """Return the metrics; some are of two classes alone."""
        names = [name for name in CLASSIFICATION if name != LOSS.name and (len(labels) == 2 or name not in _BINARY)]
        return (*(Metric(name, ranks_early=name in _RANK_EARLY) for name in names), LOSS)

    @classmethod
    def check(cls, task: "Task") -> None:
        """Check the labels."""
        super().check(task)
        if len(task.labels) < 2:
            raise InvalidInputError("classification needs two or more label names", value=task.labels)

    def targets(self, table: "Table", ids: Mapping[str, int]) -> NDArray[np.int64]:
        """Return class ids."""
        return class_ids(table, self.task.target_column, ids)

    def require_trainable(self, split: "Split", source: str) -> None:
        """Check that the labels differ."""
        if len(np.unique(split.targets)) < 2:
            value = self.task.labels[int(split.targets[0])]
            raise InvalidInputError(f"{source}: the training labels must differ", value=value, remedy="Add examples with other labels.")

    def strata(self, split: "Split") -> NDArray[np.int64]:
        """Return the classes."""
        return np.asarray(split.targets, dtype=np.int64)

    def summarise(self, split: "Split") -> str:
        """Say how large the classes are, the largest first."""
        labels = self.task.labels
        numbers = len(labels) > 2 and all(label.removeprefix("-").isdecimal() for label in labels)
        hint = ""
        if self.may_be_another_kind and numbers:
            hint = "; the labels are numbers, taken as classes; --kind regression takes them as amounts"
        elif self.may_be_another_kind and any({";", "|"} & {*label} for label in labels):
            hint = "; those with ; or | are taken as one label each; --kind multi_label reads several"
        counts = np.bincount(np.asarray(split.targets), minlength=len(labels))
        return f"{len(labels)} labels in {len(split):,} training examples: {shares(labels, counts.tolist(), len(split))}{hint}"

    def loss(self, outputs: Any, batch: Batch) -> "Tensor":
        """Return the cross-entropy of rows x classes logits."""
        from torch.nn import functional

        return functional.cross_entropy(outputs.logits.float(), batch.targets, reduction="sum")

    def class_logits(self, outputs: Any, batch: Batch) -> "Tensor":
        """Return rows x classes logits."""
        logits: Tensor = outputs.logits.float()
        return logits

    def score_arrays(self, scores: NDArray[np.float64], labels: NDArray[Any]) -> dict[str, float]:
        """Return the metrics of logits."""
        return {name: float(CLASSIFICATION[name](scores, labels)) for name in self.task.metrics}

    def details(self, predictions: Sequence[Any], encoded: Encoded) -> list[Detail]:
        """Return scores of each class, and what is taken for what."""
        return of_classes(np.asarray(encoded.references), stacked(predictions).argmax(axis=1), self.task.labels)

    def trivial_scores(self, split: "Split") -> dict[str, float]:
        """Return the best that always the same class reaches."""
        n = len(self.task.labels)
        each = [self.score_arrays(np.repeat(answer[None], len(split), axis=0), np.asarray(split.targets)) for answer in np.eye(n)]
        return self.best_of(each)

    def placeholders(self, table: "Table") -> list[Any]:
        """Return a label for each row."""
        return [self.task.labels[0]] * len(table)

    def answers_of(self, predictions: Sequence[Any], encoded: Encoded) -> list[dict[str, Any]]:
        """Return the most probable label, and the probability of each."""
        from scipy.special import softmax

        each = softmax(stacked(predictions), axis=1)
        labels = self.task.labels
        return [
            {"prediction": labels[int(row.argmax())], "probabilities": dict(zip(labels, row.round(6).tolist(), strict=True))}
            for row in each
        ]

    @property
    def head_in_words(self) -> str:
        """How many labels there are."""
        return f"chooses among {len(self.task.labels)} labels"

    @property
    def target_in_words(self) -> str:
        """The labels."""
        return f"`{self.task.target_column}`: {', '.join(f'`{label}`' for label in self.task.labels)}"

    @property
    def answer_code(self) -> str:
        """The label of the largest logit."""
        return f"{list(self.task.labels)!r}[logits.argmax().item()]"

    def answer(self, target: Any) -> str:
        """Return the label's name."""
        return self.task.labels[int(target)]
