"""What is learnt (`Task`), the examples it is learnt from (`Split`) and both together (`TaskData`)."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from autopeft.budget import Budget
from autopeft.errors import InvalidInputError, UnknownNameError
from autopeft.forms import misfit
from autopeft.tasks.families import family_class, family_of
from autopeft.tasks.metric import LOSS

Targets = NDArray[Any] | Sequence[Any]


@dataclass(frozen=True)
class Task:
    """What is read, what is predicted and how that is scored. A record that JSON can hold; what it does is its family's.

    Raises:
        InvalidInputError: A field has a value outside its range, or the fields contradict each other.
        UnknownNameError: There is no such kind, or a metric is not one that it can report.
    """

    name: str
    """Name under which the task is registered, or that the user gave to own files."""
    kind: str
    """The family that it belongs to; see `autopeft.tasks.families`."""
    input_columns: tuple[str, ...]
    """The columns that are read."""
    target_column: str
    """The column to predict."""
    labels: tuple[str, ...]
    """Names of classes, labels or tags in the order of their ids; empty where answers are not among a few."""
    metric: str
    """The metric that a search optimises."""
    metrics: tuple[str, ...]
    """Every metric that is reported, the searched one included."""
    low_cost: Budget
    """What one trial of a search spends unless asked otherwise."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What else the family needs to know, in a form that JSON can hold."""

    def __post_init__(self) -> None:
        for name in ("input_columns", "labels", "metrics"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        family = family_class(self.kind)
        if not self.input_columns or len({*self.input_columns, self.target_column}) != len(self.input_columns) + 1:
            raise InvalidInputError(
                f"a task reads at least one column and predicts another one, here {self.target_column!r}", value=self.input_columns
            )
        family.check(self)
        known = {metric.name for metric in (*family.metrics_of(self.labels), *family(self).written_metrics)}
        for metric in self.metrics:
            if metric not in known:
                raise UnknownNameError("metric", metric, known)
        if self.metric not in self.metrics:
            raise InvalidInputError(f"the searched metric must be one of {self.metrics}", value=self.metric)

    def limit_texts(self, n_tokens: int | None) -> "Task":
        """Return the task with texts that are cut off after so many tokens where a model writes them; None: as the task has it.

        Raises:
            InvalidInputError: Models for such a task write no texts whose length could be set.
        """
        return self if n_tokens is None else family_class(self.kind).limit_texts(self, n_tokens)

    def aimed_at(self, objectives: Sequence[str]) -> "Task":
        """Return the task as a search with these objectives has it: its metric is the first of them that it can report, if there is one.

        Metrics of what a model writes are reported where they are asked for.
        """
        known = {metric.name for metric in family_of(self).written_metrics}
        metrics = (*self.metrics, *(name for name in objectives if name in known - {*self.metrics}))
        return replace(self, metrics=metrics, metric=next((name for name in objectives if name in metrics), self.metric))

    def without_texts(self) -> "Task":
        """Return the task without metrics of what models write, which where it is read may be unknown, as a user's own are."""
        metrics = tuple(name for name, metric in family_of(self).metrics.items() if not metric.is_written)
        return replace(self, metrics=metrics, metric=self.metric if self.metric in metrics else LOSS.name)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; `from_dict` gives back an equal task."""
        data = asdict(self) | {"low_cost": self.low_cost.to_dict(), "settings": dict(self.settings)}
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
        if found := misfit(data, cls) or misfit(data["settings"], family_class(data["kind"]).settings_form, "settings"):
            raise InvalidInputError(f"a task can't be read: {found}")
        return cls(**{**data, "low_cost": Budget.from_dict(data["low_cost"])})


@dataclass(frozen=True, eq=False)
class Split:
    """Examples in a fixed order."""

    inputs: tuple[Sequence[Any], ...]
    """One sequence of n cells per input column, as the task's family reads them: texts, for most."""
    targets: Targets
    """What is to be predicted for each of n examples: class ids, numbers, texts."""

    def __len__(self) -> int:
        return len(self.targets)

    def keys(self) -> list[Hashable]:
        """Return for each of n examples what those with the same input share."""
        return [tuple(map(hashable, cells)) for cells in zip(*self.inputs, strict=True)]

    def take(self, indices: Sequence[int] | NDArray[np.int64]) -> "Split":
        """Return the examples at these positions, in this order."""
        rows = [int(index) for index in indices]
        targets = self.targets[rows] if isinstance(self.targets, np.ndarray) else [self.targets[row] for row in rows]
        return replace(self, inputs=tuple([column[row] for row in rows] for column in self.inputs), targets=targets)


def hashable(cell: Any) -> Hashable:
    """Return what equal cells share, also of lists and dictionaries."""
    return cell if isinstance(cell, str | bytes) else repr(cell)


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

    def trivial_scores(self) -> dict[str, float]:
        """Return, by metric, what one answer for all validation examples reaches at best; see `Family.trivial_scores`."""
        return family_of(self.task).trivial_scores(self.validation)
