"""A tag for every word: names in texts, parts of speech.

The tag of a word is read off at its first token. Words of which the tokenizer makes none, or which were cut away, are given "O", and
count all the same.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from autopeft.errors import InvalidInputError, UnsupportedError
from autopeft.tasks.columns import is_sequence, sequences, tag_names
from autopeft.tasks.details import Detail, of_classes, of_counts
from autopeft.tasks.encoded import Batch, Encoded
from autopeft.tasks.family import Columns, Family, require_rows
from autopeft.tasks.metric import LOSS, Metric
from autopeft.tasks.spans import OUTSIDE, is_bio, precision_recall_f1, spans
from autopeft.tasks.text import fill_up, lengths, padded_length, require_room, text_batch, whole_lengths

if TYPE_CHECKING:
    from torch import Tensor

    from autopeft.tasks.table import Table
    from autopeft.tasks.task import Split, Task

_IGNORED = -100
_USUAL_WORDS = ("tokens", "words")
_USUAL_TAGS = ("tags", "ner_tags", "pos_tags", "labels", "upos")
_SPANS = ("span_f1", "span_precision", "span_recall")
_ACCURACY = "token_accuracy"
MAX_TAGS = 1000


class TokenClassification(Family):
    """Cross-entropy over the tags of words."""

    name: ClassVar[str] = "token_classification"
    summary: ClassVar[str] = "a tag for every word"
    columns_in_words: ClassVar[str] = "a column of lists of words, and one of lists of tags, such as tokens and tags"
    auto_model: ClassVar[str] = "AutoModelForTokenClassification"
    processor_arguments: ClassVar[Mapping[str, Any]] = {"add_prefix_space": True}
    peft_task_type: ClassVar[str] = "TOKEN_CLS"
    has_class_logits: ClassVar[bool] = True
    pipeline: ClassVar[str] = "token-classification"

    @classmethod
    def find_columns(cls, table: "Table", given: Columns) -> Columns | None:
        """Take usual names."""
        words = given.inputs or tuple(name for name in _USUAL_WORDS if name in table.columns)[:1]
        tags = given.target or next((name for name in _USUAL_TAGS if name in table.columns), None)
        return Columns(words, tags) if words and tags else None

    @classmethod
    def claims(cls, table: "Table", columns: Columns) -> bool:
        """Lists in both columns say so."""
        assert columns.target is not None
        return all(is_sequence(table.column(name)[0]) for name in (*columns.inputs, columns.target))

    @classmethod
    def make_task(cls, table: "Table", name: str, columns: Columns) -> "Task":
        """Take the tags from the training examples; an O comes first."""
        from autopeft.tasks.task import Task

        assert columns.target is not None
        found = {tag for row in tag_names(table, columns.target) for tag in row}
        if not 2 <= len(found) <= MAX_TAGS:
            raise InvalidInputError(
                f"{table.source}: the column {columns.target!r} must hold 2 to {MAX_TAGS:,} different tags", value=len(found)
            )
        labels = tuple(sorted(found, key=lambda tag: (tag != OUTSIDE, tag[2:], tag)))
        metrics = tuple(metric.name for metric in cls.metrics_of(labels))
        return Task(name, cls.name, columns.inputs, columns.target, labels, metrics[0], metrics, cls.low_cost)

    @classmethod
    def metrics_of(cls, labels: Sequence[str]) -> tuple[Metric, ...]:
        """Return the metrics; BIO tags have spans."""
        return (*(Metric(name) for name in ((*_SPANS, _ACCURACY) if is_bio(labels) else (_ACCURACY,))), LOSS)

    @classmethod
    def check(cls, task: "Task") -> None:
        """Check columns and tags."""
        super().check(task)
        if len(task.input_columns) != 1:
            raise InvalidInputError("words are read from one column", value=task.input_columns)
        if len(task.labels) < 2:
            raise InvalidInputError("tagging words needs two or more tags", value=task.labels)

    def read(self, table: "Table", ids: Mapping[str, int]) -> "Split":
        """Return lists of words, and lists of the ids of their tags."""
        from autopeft.tasks.task import Split

        (column,), target = self.task.input_columns, self.task.target_column
        words, tags = sequences(table, column, "words"), tag_names(table, target)
        for row, (some, theirs) in enumerate(zip(words, tags, strict=True)):
            if len(some) != len(theirs) or not some:
                raise InvalidInputError(
                    f"{table.where(row)}: there must be a tag for each word, and at least one word",
                    value=f"{len(some)} words, {len(theirs)} tags",
                )
            for word in some:
                if not isinstance(word, str):
                    raise InvalidInputError(f"{table.where(row)}: the column {column!r} must hold lists of words", value=word)
            for tag in theirs:
                if tag not in ids:
                    raise InvalidInputError(
                        f"{table.where(row)}: the tags in column {target!r} must be ones of the training data",
                        value=tag,
                        remedy="Correct it, or add examples of it to the training data.",
                    )
        return Split((words,), [[ids[tag] for tag in row] for row in tags])

    def require_trainable(self, split: "Split", source: str) -> None:
        """Check that there is more than one tag."""
        if len({tag for tags in split.targets for tag in tags}) < 2:
            raise InvalidInputError(f"{source}: the training tags must differ", remedy="Add examples with other tags.")

    def summarise(self, split: "Split") -> str:
        """Say how many words and tags there are."""
        n_words = sum(map(len, split.targets))
        return f"{len(self.task.labels)} tags of {n_words:,} words in {len(split):,} training examples"

    def encode(self, processor: Any, split: "Split", max_length: int, *, training: bool = False) -> Encoded:
        """Return a row an example, with a tag at the first token of each word."""
        if not processor.is_fast:
            raise UnsupportedError(
                "tagging words needs a fast tokenizer, which says which word a token is of", value=type(processor).__name__
            )
        require_room(processor, max_length, 1)
        fields = processor(list(split.inputs[0]), is_split_into_words=True, truncation=True, max_length=max_length)
        names = [name for name in fields if name in processor.model_input_names]
        rows, references = [], []
        for index, tags in enumerate(split.targets):
            words = fields.word_ids(index)
            first = [place for place, word in enumerate(words) if word is not None and (not place or words[place - 1] != word)]
            marks = [_IGNORED] * len(words)
            for place in first:
                marks[place] = tags[words[place]]
            row = {name: list(fields[name][index]) for name in names}
            rows.append(row | {"tags": [_IGNORED] if fill_up(processor, row) else marks})
            references.append((tags, [words[place] for place in first]))
        weights = np.array([len(places) for _, places in references], dtype=np.int64)
        if not weights.sum():
            raise InvalidInputError("no word has a token of its own: the tokenizer doesn't fit the texts", value=split.inputs[0][0][:5])
        texts = split.inputs[0]
        whole = whole_lengths(lengths(rows), max_length, lambda full: processor([texts[i] for i in full], is_split_into_words=True))
        return Encoded(self, processor, rows, references, lengths(rows), weights, whole)

    def collate(self, encoded: Encoded, indices: Sequence[int]) -> Batch:
        """Return token ids, and rows x positions tags with -100 where there is none."""
        import torch

        tags = [encoded.rows[index]["tags"] for index in indices]
        n_positions = padded_length(encoded, indices)
        targets = torch.tensor([[*row, *[_IGNORED] * (n_positions - len(row))] for row in tags])
        return Batch(text_batch(encoded, indices, leave_out=("tags",)), targets)

    def loss(self, outputs: Any, batch: Batch) -> "Tensor":
        """Return the cross-entropy of the tags of words."""
        from torch.nn import functional

        return functional.cross_entropy(
            outputs.logits.float().flatten(0, 1), batch.targets.flatten(), ignore_index=_IGNORED, reduction="sum"
        )

    def class_logits(self, outputs: Any, batch: Batch) -> "Tensor":
        """Return words x tags logits."""
        logits: Tensor = outputs.logits[batch.targets != _IGNORED].float()
        return logits

    def reduce(self, outputs: Any, batch: Batch) -> list[Any]:
        """Return for each row the sum of its losses, and the ids of the predicted tags of its words that have a token."""
        from torch.nn import functional

        logits = outputs.logits.float()
        each = functional.cross_entropy(logits.transpose(1, 2), batch.targets, ignore_index=_IGNORED, reduction="none")
        losses = each.cpu().double().sum(dim=1)
        best, is_word = logits.argmax(dim=2).cpu().numpy(), (batch.targets != _IGNORED).cpu().numpy()
        return [(float(loss), tags[mask].tolist()) for loss, tags, mask in zip(losses, best, is_word, strict=True)]

    def score(self, predictions: Sequence[Any], encoded: Encoded) -> dict[str, float]:
        """Return the metrics over all words."""
        require_rows(predictions, len(encoded))
        loss = float(np.sum([one for one, _ in predictions]) / encoded.weights.sum())
        if not np.isfinite(loss):
            return dict.fromkeys(self.task.metrics, float("nan"))
        return {**self._scores([tags for tags, _ in encoded.references], self._tags(predictions, encoded)), LOSS.name: loss}

    def details(self, predictions: Sequence[Any], encoded: Encoded) -> list[Detail]:
        """Return scores of each type of span, or of each tag where there are no spans, and what words are taken for."""
        names, rows = self.task.labels, (self._tags(predictions, encoded), [tags for tags, _ in encoded.references])
        predicted, true = (np.array([tag for row in some for tag in row]) for some in rows)
        found = of_classes(true, predicted, names, "tag")
        if not is_bio(names):
            return found
        given, right = ([spans([names[tag] for tag in row]) for row in some] for some in rows)
        counts = {}
        for kind in sorted({kind for some in (*given, *right) for _, _, kind in some}):
            ours, theirs = ([{one for one in some if one[2] == kind} for some in each] for each in (given, right))
            hits = sum(len(one & other) for one, other in zip(ours, theirs, strict=True))
            counts[kind] = hits, sum(map(len, theirs)), sum(map(len, ours))
        return [of_counts("Scores per type of span", "type", counts), *found[1:]]

    def _tags(self, predictions: Sequence[Any], encoded: Encoded) -> list[list[int]]:
        """Return the predicted tag of every word, that of no span for words that were cut off."""
        outside = self.task.labels.index(OUTSIDE) if OUTSIDE in self.task.labels else 0
        found = []
        for (_, tags), (true, places) in zip(predictions, encoded.references, strict=True):
            whole = [outside] * len(true)
            for place, tag in zip(places, tags, strict=True):
                whole[place] = tag
            found.append(whole)
        return found

    def placeholders(self, table: "Table") -> list[Any]:
        """Return a tag for each word."""
        return [[self.task.labels[0]] * len(words) for words in sequences(table, self.task.input_columns[0], "words")]

    def answers_of(self, predictions: Sequence[Any], encoded: Encoded) -> list[dict[str, Any]]:
        """Return the tag of each word."""
        return [{"prediction": [self.task.labels[tag] for tag in row]} for row in self._tags(predictions, encoded)]

    def _scores(self, true: Sequence[Sequence[int]], predicted: Sequence[Sequence[int]]) -> dict[str, float]:
        n = sum(map(len, true))
        hits = sum(one == other for some, others in zip(true, predicted, strict=True) for one, other in zip(some, others, strict=True))
        scores = {_ACCURACY: hits / n}
        if is_bio(self.task.labels):
            names = self.task.labels
            precision, recall, f1 = precision_recall_f1(
                *([spans([names[tag] for tag in row]) for row in rows] for rows in (true, predicted))
            )
            scores |= dict(zip(_SPANS, (f1, precision, recall), strict=True))
        return {name: scores[name] for name in self.task.metrics if name in scores}

    def trivial_scores(self, split: "Split") -> dict[str, float]:
        """Return what the most frequent tag for every word reaches."""
        true = list(split.targets)
        counts = np.bincount([tag for tags in true for tag in tags])
        return self._scores(true, [[int(counts.argmax())] * len(tags) for tags in true])

    @property
    def head_in_words(self) -> str:
        """How many tags there are."""
        return f"gives every word one of {len(self.task.labels)} tags"

    @property
    def target_in_words(self) -> str:
        """The tags."""
        return f"`{self.task.target_column}` of every word: {', '.join(f'`{label}`' for label in self.task.labels)}"

    @property
    def model_arguments(self) -> dict[str, Any]:
        """The number of tags."""
        return {"num_labels": len(self.task.labels)}

    @property
    def example(self) -> "Split":
        """Two lists of words."""
        from autopeft.tasks.task import Split

        words = [["An", "example"], ["Another", "example", "of", "more", "words"]]
        return Split((words,), [[0] * len(some) for some in words])

    def usage(self, max_length: int) -> str:
        """Return the tags of the words of a text."""
        return (
            'words = ["Some", "words", "of", "a", "text"]\n'
            f'inputs = tokenizer(words, is_split_into_words=True, truncation=True, max_length={max_length}, return_tensors="pt")\n'
            "with torch.no_grad():\n    tags = model(**inputs).logits[0].argmax(dim=-1).tolist()\n"
            "places = inputs.word_ids()\n"
            f"names = {list(self.task.labels)!r}\n"
            "first = [i for i, word in enumerate(places) if word is not None and word != places[i - 1]]\n"
            "print([(words[places[i]], names[tags[i]]) for i in first])"
        )
