"""What depends on the kind of a task, behind one interface; each kind is one file in `autopeft.tasks.families`.

| of | a family knows |
|---|---|
| a table | `find_columns`, `claims`, `make_task`, `read`, `fit`: whether it looks like this kind of task, the task, and its examples |
| examples | `encode`, `collate`: numbers, once per worker, and batches of them |
| a batch | `forward`, `loss`, `reduce`: outputs, the sum of the losses, and a prediction per row that takes little memory |
| predictions | `score`, `tuned`, `rank`, `trivial_scores`: metrics, thresholds, which model is better, what no training reaches too |
| the same, for people | `details`: scores per class, what is taken for what |
| texts that models write | `Writing`, its base: `write`, `score_written`, how long they may be, and whether a search goes by them |
| new examples | `read_unlabelled`, `answers`: what a trained model makes of them |
| a model | `auto_model`, `configure`, `start_head`: its class, and its head |
| an export | `fold`, `peft_task_type`, `pipeline`, `usage`, ...: what other libraries call it, and how it is used |
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from autopeft.budget import Budget
from autopeft.errors import InvalidInputError, UnsupportedError
from autopeft.tasks.details import Detail
from autopeft.tasks.encoded import Batch, Encoded
from autopeft.tasks.metric import LOSS, Metric, rank
from autopeft.tasks.writing import Writing

if TYPE_CHECKING:
    from torch import Tensor, nn

    from autopeft.tasks.table import Table
    from autopeft.tasks.task import Split, Task


@dataclass(frozen=True)
class Columns:
    """Which columns of a table are read, and which is to be predicted. Empty or None: not said yet."""

    inputs: tuple[str, ...] = ()
    target: str | None = None


class Family(Writing):
    """One kind of task, for one task of that kind. Nothing is kept between calls."""

    name: ClassVar[str]
    """The kind, as `--kind` names it."""
    summary: ClassVar[str]
    """What is predicted, in one line."""
    columns_in_words: ClassVar[str]
    """Which columns a file must have, for messages."""
    auto_model: ClassVar[str]
    """The transformers class that loads a backbone for it."""
    for_other_models: ClassVar[str] = ""
    """The kind that learns the same examples with models of another class, if there is one."""
    processor: ClassVar[str] = "AutoTokenizer"
    """The transformers class that loads what encodes examples for it."""
    processor_arguments: ClassVar[Mapping[str, Any]] = {}
    """Arguments with which it is loaded."""
    needs_processor: ClassVar[bool] = True
    """Whether examples can't be encoded without it; else batches alone need it."""
    one_sequence_a_row: ClassVar[bool] = True
    """Whether a row goes through the model as one sequence, whose hidden states can be kept."""
    needs_whole_batches: ClassVar[bool] = False
    """Whether the loss of a batch isn't the sum of its parts' losses."""
    has_fresh_head: ClassVar[bool] = True
    """Whether a head is drawn anew and trained with every configuration; else the pretrained output layer is used as it is."""
    has_class_logits: ClassVar[bool] = False
    """Whether its loss is the cross-entropy of classes, whose logits `class_logits` returns."""
    one_target_a_row: ClassVar[bool] = False
    """Whether each row has one target, the first dimension of `Batch.targets`, and the loss is a sum over rows."""
    continues_answers: ClassVar[bool] = False
    """Whether inputs hold the answers, of which `answer_positions` says where, for the model to continue them."""
    evaluation_positions: ClassVar[int | None] = None
    """Most positions in a batch that is not trained on, where outputs are large; None: no such limit."""
    settings_form: ClassVar[Any] = Mapping[str, Any]
    """What `Task.settings` must be where they are read from a file, as `autopeft.forms` says it."""
    length_unit: ClassVar[tuple[str, float]] = ("tokens", 1.0)
    """The unit in which the length of an example is given, and how many positions make one; "" where examples have no lengths."""
    too_long: ClassVar[str] = "are cut"
    """What becomes of examples that are longer than allowed."""
    low_cost: ClassVar[Budget] = Budget(train_examples=2000, epochs=2, evaluation_examples=500, batch_size=16)
    """What a trial on own files spends unless asked otherwise."""
    peft_task_type: ClassVar[str]
    """What the peft library calls it; "" where it has no word."""
    pipeline: ClassVar[str]
    """What the hub's model cards call it."""

    def __init__(self, task: "Task") -> None:
        self.task = task

    # A table

    @classmethod
    @abstractmethod
    def find_columns(cls, table: "Table", given: Columns) -> Columns | None:
        """Return which columns of a table to read, by what is given and by usual names; None where the table has no such columns."""

    @classmethod
    @abstractmethod
    def claims(cls, table: "Table", columns: Columns) -> bool:
        """Return whether a table whose columns were found is of this kind, when nobody said of which it is."""

    @classmethod
    @abstractmethod
    def make_task(cls, table: "Table", name: str, columns: Columns) -> "Task":
        """Return the task of an own file.

        Raises:
            InvalidInputError: The target column can't be that of such a task.
        """

    @classmethod
    def in_language(cls, task: "Task", language: str) -> "Task":
        """Return a task in a language, given by its code, where a model must know it.

        Raises:
            InvalidInputError: No model of this kind takes one.
        """
        other = f", or give --kind {cls.for_other_models}" if cls.for_other_models else ""
        raise InvalidInputError(f"models for {cls.name} take no language", value=language, remedy=f"Leave --language out{other}.")

    @classmethod
    @abstractmethod
    def metrics_of(cls, labels: Sequence[str]) -> tuple[Metric, ...]:
        """Return what a task with these labels can report."""

    @classmethod
    def check(cls, task: "Task") -> None:
        """Check what the fields of a task must be besides what any task's must be.

        Raises:
            InvalidInputError: They contradict each other.
        """
        if len(set(task.labels)) != len(task.labels):
            raise InvalidInputError("a task's labels must differ", value=task.labels)

    @abstractmethod
    def read(self, table: "Table", ids: Mapping[str, int]) -> "Split":
        """Return a table's examples.

        Args:
            table: The rows.
            ids: The id of each accepted spelling of a label.

        Raises:
            InvalidInputError: A column is missing, or a cell is none that the task can use; names the place.
        """

    @abstractmethod
    def require_trainable(self, split: "Split", source: str) -> None:
        """Check that there is something to learn.

        Raises:
            InvalidInputError: There isn't: all examples have the same answer.
        """

    def fit(self, training: "Split") -> "Task":
        """Return the task with what of it follows from the training examples, such as the scale of numbers; for most kinds nothing does."""
        return self.task

    def strata(self, split: "Split") -> NDArray[np.int64]:
        """Return a number an example; where splits are cut from a file, each gets about the same share of every number."""
        return np.zeros(len(split), dtype=np.int64)

    def summarise(self, split: "Split") -> str:
        """Say what the training examples are, such as how many there are of each class."""
        return f"{len(split):,} training examples, {self.summary}"

    # Examples

    @abstractmethod
    def encode(self, processor: Any, split: "Split", max_length: int, *, training: bool = False) -> Encoded:
        """Return a split's rows as numbers.

        Args:
            processor: The model's tokenizer or feature extractor.
            split: The examples.
            max_length: Positions after which an example is cut.
            training: Whether the rows are to be trained on; else they are to be measured on, which may need more of them.

        Raises:
            InvalidInputError: An example can't be cut to that length, or the processor can't do what is needed.
        """

    @abstractmethod
    def collate(self, encoded: Encoded, indices: Sequence[int]) -> Batch:
        """Return some rows as tensors, padded on the right."""

    def longest(self, max_length: int) -> int:
        """Return the positions after which an example is cut, where a text is after `max_length`."""
        return max_length

    def by_size(self, encoded: Encoded) -> Sequence[int]:
        """Return rows from the smallest to the largest, where a model may be unable to read the smallest; else none."""
        return ()

    def row_in_words(self, encoded: Encoded, row: int) -> str:
        """Return how large a row is."""
        raise NotImplementedError

    def notes_on(self, model: "nn.Module", encoded: Encoded, role: str) -> list[str]:
        """Return what a model makes difficult about examples.

        Args:
            model: A model of the family's class.
            encoded: The examples.
            role: "training" or "validation".

        Raises:
            InvalidInputError: Nothing can be learnt from them, or measured on them.
        """
        return []

    # A batch

    def forward(self, model: "nn.Module", batch: Batch) -> Any:
        """Return the model's outputs for a batch."""
        return model(**batch.inputs)

    @abstractmethod
    def loss(self, outputs: Any, batch: Batch) -> "Tensor":
        """Return the sum of the batch's losses, in float32; it has as many terms as the rows' weights add up to."""

    def class_logits(self, outputs: Any, batch: Batch) -> "Tensor":
        """Return n x k logits in float32, a row for each of the n terms of the loss, in the order of the batch's rows."""
        raise NotImplementedError

    def answer_positions(self, batch: Batch) -> "Tensor":
        """Return whether each of the rows x positions input tokens is one of an answer that is to be continued."""
        raise NotImplementedError

    @property
    def loss_unit(self) -> float:
        """What a loss has to be multiplied by to be in the unit of the metric of that name."""
        return 1.0

    @abstractmethod
    def reduce(self, outputs: Any, batch: Batch) -> list[Any]:
        """Return for each row what `score` needs of its outputs, small and on the CPU."""

    # Predictions

    @abstractmethod
    def score(self, predictions: Sequence[Any], encoded: Encoded) -> dict[str, float]:
        """Return every metric that the task reports, by name.

        Args:
            predictions: What `reduce` returned for each row, in order.
            encoded: The rows.

        Returns:
            Where an output is not finite every metric is NaN: a diverged model has no accuracy.
        """

    def tuned(self, predictions: Sequence[Any], encoded: Encoded) -> "Task":
        """Return the task with what answers depend on besides the model, such as a threshold, set by validation examples."""
        return self.task

    def details(self, predictions: Sequence[Any], encoded: Encoded) -> list[Detail]:
        """Return what people look at beyond metrics, such as scores per class; arguments as in `score`, all outputs finite."""
        return []

    def of_examples(self, predictions: Sequence[Any], encoded: Encoded, examples: Sequence[int]) -> tuple[Sequence[Any], Encoded]:
        """Return what `score` takes, of some examples alone, which may be among them several times: to score other examples as if drawn.

        This is for families whose rows are examples.
        """
        rows, references = encoded.rows, encoded.references
        some = replace(
            encoded,
            rows=[rows[index] for index in examples],
            references=references[list(examples)] if isinstance(references, np.ndarray) else [references[index] for index in examples],
            lengths=encoded.lengths[list(examples)],
            weights=encoded.weights[list(examples)],
        )
        return [predictions[index] for index in examples], some

    def trivial_scores(self, split: "Split") -> dict[str, float]:
        """Return, by metric, the best that one answer for all examples reaches, where that is known: what isn't better has learnt nothing.

        The loss is left out: it tells probabilities apart as well as answers.
        """
        return {}

    def best_of(self, each: Sequence[Mapping[str, float]]) -> dict[str, float]:
        """Return the best value of each metric but the loss, and but those of what is written."""
        found = [metric for metric in self.metrics.values() if metric is not LOSS and not metric.is_written]
        return {metric.name: metric.sign * max(metric.sign * one[metric.name] for one in each) for metric in found}

    @property
    def metrics(self) -> dict[str, Metric]:
        """The metrics that the task reports, by name.

        Raises:
            InvalidInputError: One was registered in another process.
        """
        known = {metric.name: metric for metric in (*self.metrics_of(self.task.labels), *self.written_metrics)}
        if unknown := next((name for name in self.task.metrics if name not in known), None):
            remedy = "Register it in a Python file, and name that as a plugin: every process imports it."
            raise InvalidInputError("a process that trains or measures must know each metric", value=unknown, remedy=remedy)
        return {name: known[name] for name in self.task.metrics}

    def rank(self, scores: Mapping[str, float]) -> tuple[float, float]:
        """Return what is larger for the better of two models, by the searched metric, or by the loss where that isn't measured yet."""
        metric = self.metrics[self.task.metric]
        return rank(LOSS if metric.is_written and metric.name not in scores else metric, scores)

    # Answers to examples that have none

    @abstractmethod
    def placeholders(self, table: "Table") -> list[Any]:
        """Return a cell of the target column for each row that `read` takes and nothing depends on."""

    def read_unlabelled(self, table: "Table") -> "Split":
        """Return a table's examples whose answers aren't known; a target column is not looked at.

        Raises:
            InvalidInputError: As in `read`.
        """
        for name in self.task.input_columns:
            table.column(name)  # here, since an error names the columns that there are, and below there is one more
        ids = {label: index for index, label in enumerate(self.task.labels)}
        return self.read(replace(table, columns={**table.columns, self.task.target_column: self.placeholders(table)}), ids)

    def answers(
        self, model: "nn.Module", processor: Any, split: "Split", max_length: int, predict: Callable[["nn.Module", Encoded], Sequence[Any]]
    ) -> list[dict[str, Any]]:
        """Return what a trained model answers to each example: "prediction", and what else it knows, in a form that JSON can hold.

        Args:
            model: The model.
            processor: Its tokenizer or feature extractor.
            split: The examples; their targets are not looked at.
            max_length: Positions after which an example is cut.
            predict: Returns what `reduce` kept of each row.
        """
        encoded = self.encode(processor, split, max_length)
        return self.answers_of(predict(model, encoded), encoded)

    def answers_of(self, predictions: Sequence[Any], encoded: Encoded) -> list[dict[str, Any]]:
        """Return what `answers` does, of predictions; families that write have no use for it."""
        raise NotImplementedError

    # A model

    def configure(self, config: Any) -> None:
        """Set in a transformers configuration what a fresh head needs to know: what its outputs are."""
        if self.has_fresh_head and self.task.labels:
            config.num_labels = len(self.task.labels)
            config.id2label = dict(enumerate(self.task.labels))
            config.label2id = {label: index for index, label in enumerate(self.task.labels)}

    def start_head(self, model: "nn.Module", names: Sequence[str], encoded: Encoded) -> None:
        """Set what of a head's fresh parameters follows from the training examples; for most heads nothing does."""
        return

    # An export

    def fold(self, model: "nn.Module", names: Sequence[str]) -> "Task":
        """Change a trained head so that the model's outputs need no more to be done to them, where that is possible.

        Args:
            model: The model, which is changed in place.
            names: Names of the head's parameters.

        Returns:
            The task as the model answers it then; the same where nothing was changed.
        """
        return self.task

    @property
    def head_in_words(self) -> str:
        """What the head does, as a clause: "chooses among 3 labels"."""
        return "is part of the language model"

    @property
    def target_in_words(self) -> str:
        """What is predicted, for a model card, in Markdown."""
        return f"`{self.task.target_column}`"

    @property
    def model_arguments(self) -> dict[str, Any]:
        """Arguments beside the model's name with which `auto_model` loads it."""
        return {}

    @property
    def example(self) -> "Split":
        """Two short made-up examples, to look at a model with."""
        raise UnsupportedError(f"there is no made-up example of {self.name}")

    def example_for(self, config: Any) -> "Split":
        """Return the made-up examples in a form that a model of this transformers configuration reads."""
        return self.example

    def inputs_in_words(self, inputs: Mapping[str, Any]) -> str:
        """Return what a batch of the example holds, where a model may be unable to read that; else nothing."""
        return ""

    def fitting(self, config: Any) -> str:
        """Return what to do where it is."""
        return "Take another model."

    def usage(self, max_length: int) -> str:
        """Return Python that uses `tokenizer` and `model`, as loaded by `auto_model`, on an example; it may use `torch`."""
        raise UnsupportedError(f"a model card can't show how {self.name} is used")

    def prompts(self, processor: Any, split: "Split", max_length: int) -> Any:
        """Yield the examples as dictionaries with prompt and completion, for trainers of language models.

        Raises:
            UnsupportedError: They aren't texts to be continued.
        """
        raise UnsupportedError(f"{self.name} can't be written as texts to be continued", remedy="Export it with --to script.")


def all_finite(predictions: Sequence[Any]) -> bool:
    """Return whether every number of rows of numbers is finite."""
    return all(np.isfinite(row).all() for row in predictions)


def require_rows(predictions: Sequence[Any], n: int) -> None:
    """Check that there is a prediction for each of at least one row.

    Raises:
        InvalidInputError: There isn't.
    """
    if len(predictions) != n or not n:
        raise InvalidInputError(f"there must be a prediction for each of {n} rows, and at least one row", value=len(predictions))


def stacked(predictions: Sequence[Any]) -> NDArray[np.float64]:
    """Return one row of numbers a prediction, as n x k in float64."""
    return np.stack([np.asarray(row, dtype=np.float64) for row in predictions])
