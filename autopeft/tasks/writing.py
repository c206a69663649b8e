"""What a kind of task knows of the texts that its models write; the models of most kinds write none."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from autopeft.errors import InvalidInputError
from autopeft.tasks.encoded import Encoded
from autopeft.tasks.generated import Written
from autopeft.tasks.metric import Metric
from autopeft.tasks.text_scores import means, scores_of_each, text_metrics

if TYPE_CHECKING:
    from torch import nn

    from autopeft.tasks.metrics import Floats
    from autopeft.tasks.task import Split, Task


class Writing(ABC):
    """The part of a `Family` that is about written texts."""

    task: "Task"
    name: ClassVar[str]
    writes_text: ClassVar[bool] = False
    """Whether answers are texts that the model generates a token at a time."""

    @property
    @abstractmethod
    def metrics(self) -> Mapping[str, Metric]:
        """The metrics that the task reports, by name."""

    @classmethod
    def limit_texts(cls, task: "Task", n_tokens: int) -> "Task":
        """Return a task whose models write texts of at most so many tokens.

        Raises:
            InvalidInputError: They write none, or of a length that follows from what they are given.
        """
        what = "chooses among answers" if cls.writes_text and task.labels else "writes no texts whose length could be set"
        raise InvalidInputError(f"{cls.name} {what}", value=n_tokens, remedy="Leave --max-new-tokens out.")

    @property
    def written_metrics(self) -> tuple[Metric, ...]:
        """Metrics of what models write that a task of this kind can be searched by; none where they write nothing."""
        return ()

    @property
    def is_measured_by_writing(self) -> bool:
        """Whether the task is searched by such a metric."""
        return any(metric.is_written for metric in self.metrics.values())

    def may_write(self, split: "Split") -> bool:
        """Whether models write something for examples of a split, that they may be searched by."""
        return bool(self.written_metrics)

    def references(self, encoded: Encoded) -> list[str]:
        """Return what should be written for each example that a model writes a text for."""
        return list(encoded.references)

    def require_measurable(self, encoded: Encoded, role: str) -> None:
        """Check before any training that texts can be written and scored, where a task is searched by that.

        Args:
            encoded: Examples.
            role: "training", "validation" or "test".

        Raises:
            InvalidInputError: There is nothing to write for, or a score doesn't even take a reference for a text.
        """
        if not self.is_measured_by_writing:
            return
        if not (references := self.references(encoded)):
            rule = f"{self.task.metric} is of answers to prompts, and no {role} example has a prompt"
            remedy = "Search by the loss: leave --objectives out; or take more examples, where others have prompts."
            raise InvalidInputError(rule, value=", ".join(self.task.input_columns), remedy=remedy)
        self.score_written([Written("", references[0], references[0])])

    def write(self, model: "nn.Module", encoded: Encoded) -> list[Written]:
        """Return what a model writes, for families that write; it is slow, so it is done once a training."""
        return []

    def score_written(self, written: Sequence[Written]) -> dict[str, float]:
        """Return metrics of what a model wrote, by name."""
        return means(self.score_each_written(written)) | self.score_written_together(written)

    def score_each_written(self, written: Sequence[Written]) -> dict[str, "Floats"]:
        """Return those metrics that are means over texts, of each text."""
        return scores_of_each([one.text for one in written], [one.reference for one in written], text_metrics())

    def score_written_together(self, written: Sequence[Written], *, quickly: bool = False) -> dict[str, float]:
        """Return the other metrics; `quickly` those alone that may be computed hundreds of times."""
        return {}
