"""What tasks have in common that put a head over one text, or a pair: one row of scores an example."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from autopeft.errors import InvalidInputError
from autopeft.tasks.columns import texts
from autopeft.tasks.encoded import Batch, Encoded
from autopeft.tasks.family import Columns, Family, all_finite, require_rows, stacked
from autopeft.tasks.text import find_texts, lengths, text_batch, tokenise, without_far_ends

if TYPE_CHECKING:
    from autopeft.tasks.table import Table
    from autopeft.tasks.task import Split

USUAL_TEXTS = (
    ("text",),
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("sentence",),
    ("content",),
    ("document",),
    ("review",),
)
USUAL_TARGETS = ("label", "labels", "class", "category", "target", "score")
CHUNK = 1000
"""Examples that are tokenised at once when they are written as prompts."""


class SequenceFamily(Family):
    """A head over a text, or a pair of texts; of three and more columns the first is one text and the others together are the other."""

    columns_in_words: ClassVar[str] = "a column of text or more, and a label column"
    auto_model: ClassVar[str] = "AutoModelForSequenceClassification"
    peft_task_type: ClassVar[str] = "SEQ_CLS"
    pipeline: ClassVar[str] = "text-classification"
    one_target_a_row: ClassVar[bool] = True
    problem_type: ClassVar[str]
    """What transformers calls the kind of head."""

    @classmethod
    def find_columns(cls, table: "Table", given: Columns) -> Columns | None:
        """Take usual names, or the only other column as text."""
        target = given.target or next((name for name in USUAL_TARGETS if name in table.columns), None)
        inputs = find_texts(table, given.inputs, target, USUAL_TEXTS)
        return Columns(inputs, target) if inputs and target else None

    def read(self, table: "Table", ids: Mapping[str, int]) -> "Split":
        """Return texts and labels."""
        from autopeft.tasks.task import Split

        return Split(tuple(texts(table, column) for column in self.task.input_columns), self.targets(table, ids))

    def targets(self, table: "Table", ids: Mapping[str, int]) -> NDArray[Any]:
        """Return the label column as an array with a row an example."""
        raise NotImplementedError

    def encode(self, processor: Any, split: "Split", max_length: int, *, training: bool = False) -> Encoded:
        """Return one row an example."""
        rows, whole = tokenise(processor, _sides(split.inputs), max_length)
        return Encoded(self, processor, rows, np.asarray(split.targets), lengths(rows), np.ones(len(rows), dtype=np.int64), whole)

    def collate(self, encoded: Encoded, indices: Sequence[int]) -> Batch:
        """Return texts, and labels as they are."""
        import torch

        side = encoded.processor.padding_side  # the head's: where the model is loaded it is set to the one that the head needs
        return Batch(text_batch(encoded, indices, side=side), torch.as_tensor(np.asarray(encoded.references)[list(indices)]))

    def reduce(self, outputs: Any, batch: Batch) -> list[Any]:
        """Return each row's logits."""
        return list(outputs.logits.float().cpu().numpy())

    def score(self, predictions: Sequence[Any], encoded: Encoded) -> dict[str, float]:
        """Return the metrics of all logits in float64."""
        require_rows(predictions, len(encoded))
        if len(predictions[0]) != (n := max(1, len(self.task.labels))):
            raise InvalidInputError(f"a prediction of {self.task.name!r} must have {n} scores", value=len(predictions[0]))
        if not all_finite(predictions):
            return dict.fromkeys(self.task.metrics, float("nan"))
        return self.score_arrays(stacked(predictions), np.asarray(encoded.references))

    def score_arrays(self, scores: NDArray[np.float64], labels: NDArray[Any]) -> dict[str, float]:
        """Return the task's metrics of n x k finite scores."""
        raise NotImplementedError

    def configure(self, config: Any) -> None:
        """Set the number of outputs, and what they are."""
        super().configure(config)
        if not self.task.labels:
            config.num_labels = 1
        config.problem_type = self.problem_type

    @property
    def model_arguments(self) -> dict[str, Any]:
        """The number of outputs."""
        return {"num_labels": max(1, len(self.task.labels))}

    @property
    def example(self) -> "Split":
        """Two texts, or pairs."""
        from autopeft.tasks.task import Split

        columns = (["An example.", "Another example of more words."],) * len(self.task.input_columns)
        return Split(columns, self.some_targets)

    @property
    def some_targets(self) -> NDArray[Any]:
        """Targets of two examples."""
        return np.zeros(2, dtype=np.int64)

    @property
    def answer_code(self) -> str:
        """Python that turns `logits` of one example into an answer."""
        raise NotImplementedError

    def usage(self, max_length: int) -> str:
        """Return a forward pass over one text, and its answer."""
        arguments = ", ".join(repr(text) for (text,) in _sides([[f"The {column}."] for column in self.task.input_columns]))
        return (
            f'inputs = tokenizer({arguments}, truncation=True, max_length={max_length}, return_tensors="pt")\n'
            "with torch.no_grad():\n    logits = model(**inputs).logits\n"
            f"print({self.answer_code})"
        )

    def answer(self, target: Any) -> str:
        """Return a target in words, as a language model would write it."""
        raise NotImplementedError

    def prompts(self, processor: Any, split: "Split", max_length: int) -> Any:
        """Yield the columns by name, cut to what a trial saw of them, then the label in words."""
        for start in range(0, len(split), CHUNK):
            columns = [column[start : start + CHUNK] for column in split.inputs]
            sides = without_far_ends(processor, _sides(columns), max_length)
            encoded = processor(*sides, truncation=True, max_length=max_length, return_offsets_mapping=processor.is_fast)
            for index, target in enumerate(split.targets[start : start + CHUNK]):
                first, *others = (column[index] for column in columns)
                ends = [_end(encoded, index, place) for place in range(min(2, len(columns)))]
                cells = [first[: ends[0]], *(_cut_together(others, ends[1]) if others else ())]
                lines = [f"{name}: {cell}" for name, cell in zip(self.task.input_columns, cells, strict=True)]
                yield {"prompt": "\n".join([*lines, f"{self.task.target_column}:"]), "completion": f" {self.answer(target)}"}


def _sides(columns: Sequence[Sequence[str]]) -> list[Sequence[str]]:
    """Return one or two columns of texts: the first, and all others joined by line breaks."""
    first, *others = columns
    return [first, *(["\n".join(cells) for cells in zip(*others, strict=True)] for _ in others[:1])]


def _cut_together(cells: Sequence[str], end: int | None) -> list[str]:
    """Return what is left of texts that are joined by line breaks and then cut."""
    if end is None:
        return list(cells)
    found, start = [], 0
    for cell in cells:
        found.append(cell[: max(0, end - start)])
        start += len(cell) + 1
    return found


def _end(encoded: Any, index: int, place: int) -> int | None:
    """Return after how many characters a text was cut; None where the tokenizer can't tell."""
    if "offset_mapping" not in encoded:
        return None
    places = encoded.sequence_ids(index)
    return max((end for (_, end), one in zip(encoded["offset_mapping"][index], places, strict=True) if one == place), default=0)
