"""The right one of a few answers to a question, each read together with it."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from autopeft.errors import InvalidInputError
from autopeft.tasks.columns import is_sequence, texts
from autopeft.tasks.details import Detail, of_classes
from autopeft.tasks.encoded import Batch, Encoded
from autopeft.tasks.family import Columns, Family, require_rows
from autopeft.tasks.metric import LOSS, Metric
from autopeft.tasks.text import padded, padded_length, tokenise

if TYPE_CHECKING:
    from torch import Tensor

    from autopeft.tasks.table import Table
    from autopeft.tasks.task import Split, Task

_ACCURACY = Metric("accuracy")
_LIST = ("choices", "options", "endings", "answers")
_NUMBERED = re.compile(r"(choice|ending|option|answer|solution|sol)_?\d")
_QUESTIONS = (
    ("sent1", "sent2"),
    ("premise", "question"),
    ("question",),
    ("premise",),
    ("context",),
    ("prompt",),
    ("goal",),
    ("ctx",),
    ("text",),
)
_TARGETS = ("label", "answer", "answerKey", "correct")


class MultipleChoice(Family):
    """Cross-entropy over the scores of a question's choices."""

    name: ClassVar[str] = "multiple_choice"
    summary: ClassVar[str] = "the right one of a few answers to a question"
    columns_in_words: ClassVar[str] = "a question, choices as a list or in columns such as choice1 and choice2, and which of them is right"
    auto_model: ClassVar[str] = "AutoModelForMultipleChoice"
    one_sequence_a_row: ClassVar[bool] = False
    has_class_logits: ClassVar[bool] = True
    peft_task_type: ClassVar[str] = ""
    pipeline: ClassVar[str] = "multiple-choice"

    @classmethod
    def find_columns(cls, table: "Table", given: Columns) -> Columns | None:
        """Take a list of choices, or numbered columns of them, and a question of a usual name."""
        target = given.target or next((name for name in _TARGETS if name in table.columns), None)
        if given.inputs:
            return Columns(given.inputs, target) if target else None
        choices = tuple(name for name in _LIST if name in table.columns and name != target)[:1]
        choices = choices or tuple(sorted(name for name in table.columns if _NUMBERED.fullmatch(name) and name != target))
        question = next((names for names in _QUESTIONS if set(names) <= set(table.columns)), None)
        return Columns((*question, *choices), target) if question and choices and target else None

    @classmethod
    def claims(cls, table: "Table", columns: Columns) -> bool:
        """Choices of a usual name say so."""
        last = columns.inputs[-1]
        return bool(_NUMBERED.fullmatch(last)) or (last in _LIST and _are_choices(table.column(last)[0]))

    @classmethod
    def make_task(cls, table: "Table", name: str, columns: Columns) -> "Task":
        """Return a task that is searched by accuracy; its choices differ from question to question."""
        from autopeft.tasks.task import Task

        assert columns.target is not None
        return Task(name, cls.name, columns.inputs, columns.target, (), "accuracy", ("accuracy", "loss"), cls.low_cost)

    @classmethod
    def metrics_of(cls, labels: Sequence[str]) -> tuple[Metric, ...]:
        """Return the metrics."""
        return (_ACCURACY, LOSS)

    @classmethod
    def check(cls, task: "Task") -> None:
        """Check the columns."""
        super().check(task)
        if len(task.input_columns) < 2 or task.labels:
            raise InvalidInputError("choices need a column for the question and one or more for the choices", value=task.input_columns)

    def read(self, table: "Table", ids: Mapping[str, int]) -> "Split":
        """Return questions, lists of choices, and the number of the right one from 0."""
        from autopeft.tasks.task import Split

        columns = self.task.input_columns
        numbered = tuple(name for name in columns if _NUMBERED.fullmatch(name)) or columns[-1:]
        questions = [texts(table, name) for name in columns if name not in numbered]
        if not questions:
            raise InvalidInputError(f"{table.source}: choices need a question", value=columns)
        joined = [" ".join(cell for cell in cells if cell.strip()) for cells in zip(*questions, strict=True)]
        is_list = len(numbered) == 1
        choices = [_choices(table, numbered[0], row) for row in range(len(table))] if is_list else None
        rows = choices or [list(cells) for cells in zip(*(texts(table, name) for name in numbered), strict=True)]
        answers = [self._answer(table, row, some, numbered) for row, some in enumerate(rows)]
        return Split((joined, rows), np.array(answers, dtype=np.int64))

    def _answer(self, table: "Table", row: int, choices: Sequence[str], columns: Sequence[str]) -> int:
        """Return which choice a cell names: by its number from 0, its letter from A, its text, or its column."""
        column = self.task.target_column
        cell = table.column(column)[row]
        text = str(cell).strip()
        if text in choices:
            return choices.index(text)
        if text in columns and len(columns) == len(choices):
            return columns.index(text)
        if not isinstance(cell, bool) and re.fullmatch(r"\d+(\.0)?", text) and float(text) < len(choices):
            return int(float(text))
        if len(text) == 1 and 0 <= ord(text.upper()) - ord("A") < len(choices):
            return ord(text.upper()) - ord("A")
        raise InvalidInputError(
            f"{table.where(row)}: the column {column!r} must name one of {len(choices)} choices by number (from 0), letter or text",
            value=cell,
        )

    def require_trainable(self, split: "Split", source: str) -> None:
        """Check that there is something to choose."""
        if all(len(choices) < 2 for choices in split.inputs[1]):
            raise InvalidInputError(f"{source}: a question must have two or more choices", value=list(split.inputs[1][0]))

    def encode(self, processor: Any, split: "Split", max_length: int, *, training: bool = False) -> Encoded:
        """Return a row an example: the token ids of each choice behind the question."""
        questions, choices = split.inputs
        flat = [
            [question for question, some in zip(questions, choices, strict=True) for _ in some],
            [one for some in choices for one in some],
        ]
        encoded, of_choices = tokenise(processor, flat, max_length)
        rows: list[dict[str, Any]] = []
        whole: list[int] = []
        start = 0
        for some, answer in zip(choices, split.targets, strict=True):
            own = encoded[start : start + len(some)]
            rows.append({"choices": own, "answer": int(answer)})
            whole.append(max(of_choices[start : start + len(some)]))
            start += len(some)
        longest = np.array([max(len(one["input_ids"]) for one in row["choices"]) for row in rows], dtype=np.int64)
        return Encoded(
            self, processor, rows, np.asarray(split.targets), longest, np.ones(len(rows), dtype=np.int64), np.array(whole, dtype=np.int64)
        )

    def collate(self, encoded: Encoded, indices: Sequence[int]) -> Batch:
        """Return examples x choices x positions, the first choice standing in for missing ones, and the right choice and their number."""
        import torch

        rows = [encoded.rows[index] for index in indices]
        n_choices = max(len(row["choices"]) for row in rows)
        n_positions = padded_length(encoded, indices)
        flat = [one for row in rows for one in [*row["choices"], *row["choices"][:1] * (n_choices - len(row["choices"]))]]
        filled = padded(encoded.processor, flat, n_positions, encoded.processor.padding_side)  # the side that the head needs
        inputs = {name: tensor.view(len(rows), n_choices, -1) for name, tensor in filled.items()}
        return Batch(inputs, torch.tensor([[row["answer"], len(row["choices"])] for row in rows]))

    def loss(self, outputs: Any, batch: Batch) -> "Tensor":
        """Return the cross-entropy over choices."""
        from torch.nn import functional

        return functional.cross_entropy(_scores(outputs, batch), batch.targets[:, 0], reduction="sum")

    def class_logits(self, outputs: Any, batch: Batch) -> "Tensor":
        """Return examples x choices scores; choices that aren't there have the lowest."""
        return _scores(outputs, batch)

    def reduce(self, outputs: Any, batch: Batch) -> list[Any]:
        """Return for each row its loss, whether the right choice has the largest score, and the probability of each choice."""
        from torch.nn import functional

        scores = _scores(outputs, batch)
        losses = functional.cross_entropy(scores, batch.targets[:, 0], reduction="none").cpu().tolist()
        hits = (scores.argmax(dim=1) == batch.targets[:, 0]).cpu().tolist()
        chances = functional.softmax(scores, dim=1).cpu().tolist()
        numbers = batch.targets[:, 1].tolist()
        return [(loss, hit, some[:n]) for loss, hit, some, n in zip(losses, hits, chances, numbers, strict=True)]

    def score(self, predictions: Sequence[Any], encoded: Encoded) -> dict[str, float]:
        """Return accuracy and loss."""
        require_rows(predictions, len(encoded))
        losses, hits, _ = zip(*predictions, strict=True)
        if not np.isfinite(losses).all():
            return dict.fromkeys(self.task.metrics, float("nan"))
        scores = {_ACCURACY.name: float(np.mean(hits)), LOSS.name: float(np.mean(losses))}
        return {name: scores[name] for name in self.task.metrics}

    def details(self, predictions: Sequence[Any], encoded: Encoded) -> list[Detail]:
        """Return whether the place of a choice matters: scores of each place, and which is taken for which."""
        chances = [some for _, _, some in predictions]
        labels = [str(place) for place in range(max(map(len, chances)))]
        return of_classes(np.asarray(encoded.references), np.array([np.argmax(some) for some in chances]), labels, "choice")

    def placeholders(self, table: "Table") -> list[Any]:
        """Return the first choice for each row."""
        return [0] * len(table)

    def answers_of(self, predictions: Sequence[Any], encoded: Encoded) -> list[dict[str, Any]]:
        """Return the number of the most probable choice, from 0, and the probability of each."""
        return [{"prediction": int(np.argmax(some)), "probabilities": [round(one, 6) for one in some]} for _, _, some in predictions]

    def trivial_scores(self, split: "Split") -> dict[str, float]:
        """Return how often the choice of the same number is right."""
        return {_ACCURACY.name: float(np.bincount(np.asarray(split.targets)).max() / len(split))}

    @property
    def head_in_words(self) -> str:
        """What it does."""
        return "scores every choice"

    @property
    def target_in_words(self) -> str:
        """What is predicted."""
        return "which of the choices is right"

    @property
    def example(self) -> "Split":
        """Two questions of two choices."""
        from autopeft.tasks.task import Split

        return Split((["A question?", "Another question?"], [["One.", "Two more words."]] * 2), np.array([0, 1]))

    def usage(self, max_length: int) -> str:
        """Return the choice that a question gets."""
        return (
            'question, choices = "The question?", ["One answer.", "Another answer."]\n'
            f"limits = dict(truncation=True, max_length={max_length}, padding=True)\n"
            'inputs = tokenizer([question] * len(choices), choices, return_tensors="pt", **limits)\n'
            "with torch.no_grad():\n    logits = model(**{name: tensor[None] for name, tensor in inputs.items()}).logits\n"
            "print(choices[logits.argmax().item()])"
        )

    def prompts(self, processor: Any, split: "Split", max_length: int) -> Any:
        """Yield question and choices with letters, and the letter of the right one."""
        for question, choices, answer in zip(*split.inputs, split.targets, strict=True):
            lines = [f"{chr(ord('A') + index)}. {choice}" for index, choice in enumerate(choices)]
            yield {"prompt": "\n".join([question, *lines, "answer:"]), "completion": f" {chr(ord('A') + int(answer))}"}


def _are_choices(cell: Any) -> bool:
    """Return whether a cell looks like choices: a list, or the hub's dictionary."""
    return is_sequence(cell.get("text") if isinstance(cell, Mapping) else cell)


def _choices(table: "Table", column: str, row: int) -> list[str]:
    """Return a cell's choices: a list of texts, or the hub's dictionary with such a list under "text"."""
    cell: Any = table.column(column)[row]
    if isinstance(cell, Mapping):
        cell = cell.get("text")
    if not is_sequence(cell) or not cell or not all(isinstance(choice, str) for choice in cell):
        raise InvalidInputError(f"{table.where(row)}: the column {column!r} must hold lists of choices", value=cell)
    return list(cell)


def _scores(outputs: Any, batch: Batch) -> "Tensor":
    """Return examples x choices scores in float32; choices that aren't there have the lowest."""
    import torch

    scores: Tensor = outputs.logits.float()
    is_there = torch.arange(scores.shape[1], device=scores.device) < batch.targets[:, 1:]
    return scores.masked_fill(~is_there, torch.finfo(scores.dtype).min)
