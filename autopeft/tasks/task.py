"""What is learnt (`Task`), the examples it is learnt from (`Split`) and both together (`TaskData`)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from autopeft.budget import Budget
from autopeft.errors import InvalidInputError, UnknownNameError
from autopeft.tasks.metrics import compute, metric_names

Kind = Literal["classification", "regression"]
Labels = NDArray[np.int64] | NDArray[np.float64]


@dataclass(frozen=True)
class Task:
    """A text task: which columns are read, what is predicted and how that is scored.

    Raises:
        InvalidInputError: A field has a value outside its range, or the fields contradict each other.
        UnknownNameError: A metric is not one that this kind of task can report.
    """

    name: str
    """Name under which the task is registered, or that the user gave to own files."""
    kind: Kind
    """Whether a label is one of several classes or a number."""
    text_columns: tuple[str, ...]
    """The one or two columns that are read; two are encoded as a pair."""
    label_column: str
    """The column to predict."""
    labels: tuple[str, ...]
    """Class names in the order of their ids; empty for regression."""
    metric: str
    """The metric that a search maximises."""
    metrics: tuple[str, ...]
    """Every metric that is reported, the searched one included."""
    low_cost: Budget
    """What one trial of a search spends unless told otherwise."""

    def __post_init__(self) -> None:
        for name in ("text_columns", "labels", "metrics"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.kind not in get_args(Kind):
            raise InvalidInputError(f"a task's kind must be one of {', '.join(get_args(Kind))}", value=self.kind)
        if len(self.text_columns) not in (1, 2) or len({*self.text_columns, self.label_column}) != len(self.text_columns) + 1:
            raise InvalidInputError(
                f"a task reads one or two text columns and another column as label {self.label_column!r}", value=self.text_columns
            )
        if (self.kind == "regression") != (not self.labels) or len(self.labels) == 1 or len(set(self.labels)) != len(self.labels):
            raise InvalidInputError("classification needs two or more distinct label names, regression none", value=self.labels)
        known = metric_names(self.kind, len(self.labels))
        for metric in self.metrics:
            if metric not in known:
                raise UnknownNameError("metric", metric, known)
        if self.metric not in self.metrics or self.metric == "loss":
            raise InvalidInputError(f"the searched metric must be one of {self.metrics} and not the loss", value=self.metric)

    @property
    def n_outputs(self) -> int:
        """How many numbers a model's head gives per example."""
        return len(self.labels) or 1

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; `from_dict` gives back an equal task."""
        data = asdict(self) | {"low_cost": self.low_cost.to_dict()}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in data.items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read the JSON form.

        Raises:
            InvalidInputError: A key is unknown or missing, or a value is out of range.
        """
        known = {entry.name for entry in fields(cls)}
        if wrong := known ^ set(data):
            raise InvalidInputError(f"a task has exactly the keys {', '.join(sorted(known))}", value=sorted(wrong))
        return cls(**{**data, "low_cost": Budget.from_dict(data["low_cost"])})


@dataclass(frozen=True, eq=False)
class Split:
    """Examples in a fixed order."""

    texts: tuple[list[str], ...]
    """One list of n texts per text column."""
    labels: Labels
    """n class ids (int64) or n numbers (float64)."""

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Sequence[int] | NDArray[np.int64]) -> "Split":
        """Return the examples at these positions, in this order."""
        rows = [int(index) for index in indices]
        return replace(self, texts=tuple([column[row] for row in rows] for column in self.texts), labels=self.labels[rows])


@dataclass(frozen=True, eq=False)
class TaskData:
    """A task and its examples."""

    task: Task
    train: Split
    """What a trial trains on."""
    validation: Split
    """What a search selects by."""
    test: Split | None
    """What is reported in the end. None while searching: a search never holds test examples."""
    notes: tuple[str, ...] = ()
    """Where each split came from, one sentence each."""

    def floors(self) -> dict[str, float]:
        """Return, by metric, the best that one answer for all validation examples reaches: what isn't above it has learnt nothing.

        The loss is left out: it tells probabilities apart as well as answers.
        """
        labels = self.validation.labels
        answers = np.eye(len(self.task.labels)) if self.task.labels else np.array([labels.mean()])
        each = [compute_metrics(self.task, np.repeat(answer[None], len(labels), axis=0), labels) for answer in answers]
        return {name: max(one[name] for one in each) for name in self.task.metrics if name != "loss"}


def compute_metrics(task: Task, scores: NDArray[Any], labels: NDArray[Any]) -> dict[str, float]:
    """Return every metric that the task reports, by name.

    Args:
        task: Says which metrics, and whether scores are logits or numbers.
        scores: Logits, n x n_labels, for classification; n numbers for regression.
        labels: n class ids or n numbers.

    Returns:
        A score that is not finite makes every metric NaN: a diverged model has no accuracy.

    Raises:
        InvalidInputError: The shapes don't fit the task.
    """
    expected = (len(labels), len(task.labels)) if task.labels else (len(labels),)
    if scores.shape != expected or not len(labels):
        raise InvalidInputError(f"scores of {task.name!r} must have the shape {expected} with at least one example", value=scores.shape)
    exact = scores.astype(np.float64)
    if not np.isfinite(exact).all():
        return dict.fromkeys(task.metrics, float("nan"))
    return {name: compute(task.kind, name, exact, labels) for name in task.metrics}
