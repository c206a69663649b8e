"""What classifying images and classifying recordings have in common: files, classes, and a feature extractor that makes batches."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from autopeft.errors import InvalidInputError
from autopeft.tasks.columns import class_ids, class_names
from autopeft.tasks.encoded import Batch, Encoded
from autopeft.tasks.families.classification import Classification
from autopeft.tasks.family import Columns, Family
from autopeft.tasks.media import is_called, readable_contents

if TYPE_CHECKING:
    from autopeft.tasks.table import Table
    from autopeft.tasks.task import Split, Task

_TARGETS = ("label", "labels", "class", "category")


class MediaClassification(Classification):
    """Cross-entropy over classes of files. They are decoded and prepared batch by batch: all at once would not fit into memory."""

    may_be_another_kind: ClassVar[bool] = False
    usual_inputs: ClassVar[Sequence[str]]
    """Names of the column that holds the files."""
    what: ClassVar[str]
    """What a file holds, for messages."""

    @classmethod
    def find_columns(cls, table: "Table", given: Columns) -> Columns | None:
        """Take usual names."""
        target = given.target or next((name for name in _TARGETS if name in table.columns), None)
        inputs = given.inputs or tuple(name for name in cls.usual_inputs if name in table.columns)[:1]
        return Columns(inputs, target) if inputs and target else None

    @classmethod
    def claims(cls, table: "Table", columns: Columns) -> bool:
        """A column of files says so."""
        return is_called(table, columns.inputs[0], cls.usual_inputs)

    @classmethod
    def make_task(cls, table: "Table", name: str, columns: Columns) -> "Task":
        """Take the classes from the training labels."""
        from autopeft.tasks.task import Task

        assert columns.target is not None
        labels = class_names(table, columns.target)
        return Task(name, cls.name, columns.inputs, columns.target, labels, "accuracy", ("accuracy", "macro_f1", "loss"), cls.low_cost)

    @classmethod
    def check(cls, task: "Task") -> None:
        """Check that one column of files is read."""
        super().check(task)
        if len(task.input_columns) != 1:
            raise InvalidInputError(f"{cls.what} are read from one column", value=task.input_columns)

    def read(self, table: "Table", ids: Mapping[str, int]) -> "Split":
        """Return the files' contents, each of which can be decoded, and class ids."""
        from autopeft.tasks.task import Split

        files = readable_contents(table, self.task.input_columns[0], self.what, self.decode)
        return Split((files,), class_ids(table, self.task.target_column, ids))

    def decode(self, data: bytes) -> Any:
        """Return what a file holds."""
        raise NotImplementedError

    def prepare(self, processor: Any, decoded: Sequence[Any]) -> Any:
        """Return some decoded files as the model's arguments."""
        raise NotImplementedError

    def encode(self, processor: Any, split: "Split", max_length: int, *, training: bool = False) -> Encoded:
        """Return a row a file, not decoded yet."""
        ones = np.ones(len(split), dtype=np.int64)
        rows, whole = [{"data": data} for data in split.inputs[0]], self.lengths(split)
        lengths = ones if whole is None else np.minimum(whole, self.longest(max_length))
        return Encoded(self, processor, rows, np.asarray(split.targets), lengths, ones, whole)

    def lengths(self, split: "Split") -> Any:
        """Return how long files are; None where they have no length."""
        return None

    def collate(self, encoded: Encoded, indices: Sequence[int]) -> Batch:
        """Return what the feature extractor makes of some files, and class ids."""
        import torch

        decoded = [self.decode(encoded.rows[index]["data"]) for index in indices]
        prepared = self.prepare(encoded.processor, decoded)
        return Batch(dict(prepared), torch.as_tensor(np.asarray(encoded.references)[list(indices)]))

    @property
    def model_arguments(self) -> dict[str, Any]:
        """The number of outputs; the pretrained head may have another."""
        return {**super().model_arguments, "ignore_mismatched_sizes": True}

    def prompts(self, processor: Any, split: "Split", max_length: int) -> Any:
        """Files aren't texts to be continued: refuse."""
        return Family.prompts(self, processor, split, max_length)
