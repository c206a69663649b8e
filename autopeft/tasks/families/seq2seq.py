"""A text for a text, by an encoder-decoder: summaries, translations.

Loss and perplexity are those of the target's tokens, each predicted from the source and the tokens before it. Texts are generated, and
scored, where a retrained configuration is measured on test data, and in trials that are searched by such a score.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from autopeft.budget import Budget
from autopeft.errors import InvalidInputError
from autopeft.tasks.columns import filled_texts, texts
from autopeft.tasks.encoded import Batch, Encoded
from autopeft.tasks.family import Columns, Family, all_finite, require_rows, stacked
from autopeft.tasks.generated import BATCH, SETTINGS_FORM, Written, decoder_room, generate, most_new_tokens, of_at_most
from autopeft.tasks.metric import LOSS, Metric
from autopeft.tasks.metrics import perplexity
from autopeft.tasks.text import lengths, padded, text_batch, tokenise, whole_lengths
from autopeft.tasks.text_scores import BLEU, CHRF, text_metrics, translation_scores

if TYPE_CHECKING:
    from torch import Tensor, nn

    from autopeft.tasks.table import Table
    from autopeft.tasks.task import Split, Task

_PAIRS = (
    (("document",), "summary"),
    (("dialogue",), "summary"),
    (("article",), "highlights"),
    (("article",), "summary"),
    (("text",), "summary"),
    (("source",), "target"),
    (("src",), "tgt"),
)
IGNORED = -100
_PERPLEXITY = Metric("perplexity", "minimize")


class Seq2Seq(Family):
    """Cross-entropy over the tokens of targets."""

    name: ClassVar[str] = "seq2seq"
    summary: ClassVar[str] = "a text for a text, by an encoder-decoder: summaries, translations"
    columns_in_words: ClassVar[str] = "two columns of text, such as source and target, or document and summary"
    settings_form: ClassVar[Any] = SETTINGS_FORM
    auto_model: ClassVar[str] = "AutoModelForSeq2SeqLM"
    has_fresh_head: ClassVar[bool] = False
    has_class_logits: ClassVar[bool] = True
    writes_text: ClassVar[bool] = True
    low_cost: ClassVar[Budget] = Budget(train_examples=1000, epochs=1, evaluation_examples=200, batch_size=16, max_length=256)
    evaluation_positions: ClassVar[int | None] = 4096
    peft_task_type: ClassVar[str] = "SEQ_2_SEQ_LM"
    pipeline: ClassVar[str] = "text2text-generation"

    @classmethod
    def find_columns(cls, table: "Table", given: Columns) -> Columns | None:
        """Take a usual pair."""
        for inputs, target in _PAIRS:
            if {*inputs, target} <= set(table.columns) and (given.inputs or inputs) == inputs and (given.target or target) == target:
                return Columns(inputs, target)
        return Columns(given.inputs, given.target) if given.inputs and given.target else None

    @classmethod
    def claims(cls, table: "Table", columns: Columns) -> bool:
        """Only columns of usual names say so."""
        return (columns.inputs, columns.target) in _PAIRS

    @classmethod
    def make_task(cls, table: "Table", name: str, columns: Columns) -> "Task":
        """Return a task that is searched by the loss."""
        from autopeft.tasks.task import Task

        assert columns.target is not None
        return Task(name, cls.name, columns.inputs, columns.target, (), "loss", ("loss", "perplexity"), cls.low_cost)

    @classmethod
    def limit_texts(cls, task: "Task", n_tokens: int) -> "Task":
        """Return the task with texts of at most so many tokens."""
        return of_at_most(task, n_tokens)

    @classmethod
    def metrics_of(cls, labels: Sequence[str]) -> tuple[Metric, ...]:
        """Return the metrics."""
        return (LOSS, _PERPLEXITY)

    def read(self, table: "Table", ids: Mapping[str, int]) -> "Split":
        """Return texts and texts."""
        from autopeft.tasks.task import Split

        targets = filled_texts(table, self.task.target_column)
        return Split(tuple(texts(table, column) for column in self.task.input_columns), targets)

    def require_trainable(self, split: "Split", source: str) -> None:
        """Any text can be learnt from."""

    def encode(self, processor: Any, split: "Split", max_length: int, *, training: bool = False) -> Encoded:
        """Return a row an example: the source's tokens, several columns after each other, and the target's."""
        sources = ["\n".join(cells) for cells in zip(*split.inputs, strict=True)]
        rows: list[dict[str, Any]]
        rows, whole = tokenise(processor, [sources], max_length)
        labels = processor(text_target=list(split.targets), truncation=True, max_length=max_length)["input_ids"]
        for row, ids in zip(rows, labels, strict=True):
            row["labels"] = list(ids)
        weights = np.array([len(ids) for ids in labels], dtype=np.int64)
        targets = whole_lengths(weights, max_length, lambda full: processor(text_target=[split.targets[i] for i in full]))
        if not weights.all():
            raise InvalidInputError("a target must have at least one token", value=split.targets[int(weights.argmin())])
        return Encoded(self, processor, rows, list(split.targets), lengths(rows), weights, np.maximum(whole, targets))

    def collate(self, encoded: Encoded, indices: Sequence[int]) -> Batch:
        """Return the sources' tokens and the targets', from which models make their decoders' inputs themselves."""
        import torch

        inputs = text_batch(encoded, indices, leave_out=("labels",))
        labels = [encoded.rows[index]["labels"] for index in indices]
        longest = max(map(len, labels))
        targets = torch.tensor([[*ids, *[IGNORED] * (longest - len(ids))] for ids in labels])
        return Batch({**inputs, "labels": targets}, targets)

    def loss(self, outputs: Any, batch: Batch) -> "Tensor":
        """Return the cross-entropy of the targets' tokens."""
        return _token_losses(outputs, batch).sum()

    def class_logits(self, outputs: Any, batch: Batch) -> "Tensor":
        """Return targets' tokens x vocabulary logits."""
        logits: Tensor = outputs.logits[batch.targets != IGNORED].float()
        return logits

    def reduce(self, outputs: Any, batch: Batch) -> list[Any]:
        """Return for each row the sum of its losses."""
        return [[loss] for loss in _token_losses(outputs, batch).cpu().double().sum(dim=1).tolist()]

    def score(self, predictions: Sequence[Any], encoded: Encoded) -> dict[str, float]:
        """Return loss and perplexity."""
        require_rows(predictions, len(encoded))
        if not all_finite(predictions):
            return dict.fromkeys(self.task.metrics, float("nan"))
        loss = float(stacked(predictions).sum() / encoded.weights.sum())
        scores = {LOSS.name: loss, _PERPLEXITY.name: perplexity(loss)}
        return {name: scores[name] for name in self.task.metrics if name in scores}

    @property
    def written_metrics(self) -> tuple[Metric, ...]:
        """Those of `score_written`."""
        return (*text_metrics(), BLEU, CHRF)

    def write(self, model: "nn.Module", encoded: Encoded) -> list[Written]:
        """Return a text for each row."""
        sources = [encoded.processor.decode(row["input_ids"], skip_special_tokens=True) for row in encoded.rows]
        return [Written(*one) for one in zip(sources, self._written(model, encoded), encoded.references, strict=True)]

    def score_written_together(self, written: Sequence[Written], *, quickly: bool = False) -> dict[str, float]:
        """Return BLEU and chrF where sacrebleu is installed, which take long."""
        return {} if quickly else translation_scores([one.text for one in written], [one.reference for one in written])

    def _written(self, model: "nn.Module", encoded: Encoded) -> list[str]:
        """Return what a model writes for each row."""
        device = next(model.parameters()).device
        rows = [{name: row[name] for name in ("input_ids", "attention_mask")} for row in encoded.rows]
        order = np.argsort(encoded.lengths, kind="stable")
        chunks = [order[start : start + BATCH].tolist() for start in range(0, len(order), BATCH)]
        batches = [padded(encoded.processor, [rows[index] for index in chunk], int(encoded.lengths[chunk].max())) for chunk in chunks]
        inputs = [{name: tensor.to(device) for name, tensor in batch.items()} for batch in batches]
        made = generate(model, encoded.processor, inputs, decoder_room(model, most_new_tokens(self.task)), continues=False)
        return [text for _, text in sorted(zip(order.tolist(), made, strict=True))]

    def placeholders(self, table: "Table") -> list[Any]:
        """Return a text for each row."""
        return ["?"] * len(table)

    def answers(
        self, model: "nn.Module", processor: Any, split: "Split", max_length: int, predict: Callable[["nn.Module", Encoded], Sequence[Any]]
    ) -> list[dict[str, Any]]:
        """Return what the model writes."""
        return [{"prediction": text} for text in self._written(model, self.encode(processor, split, max_length))]

    @property
    def target_in_words(self) -> str:
        """What is written."""
        return f"`{self.task.target_column}`, a text"

    @property
    def example(self) -> "Split":
        """Two texts with targets."""
        from autopeft.tasks.task import Split

        column = ["An example.", "Another example of more words."]
        return Split((column,) * len(self.task.input_columns), ["An answer.", "Another answer."])

    def usage(self, max_length: int) -> str:
        """Return the text that is generated for a text."""
        return (
            f'inputs = tokenizer("The {self.task.input_columns[0]}.", truncation=True, max_length={max_length}, return_tensors="pt")\n'
            "ids, mask = inputs['input_ids'], inputs['attention_mask']\n"
            f"options = dict(max_new_tokens={most_new_tokens(self.task)}, do_sample=False)\n"
            "with torch.no_grad():\n    output = model.generate(input_ids=ids, attention_mask=mask, **options)\n"
            "print(tokenizer.decode(output[0], skip_special_tokens=True))"
        )

    def prompts(self, processor: Any, split: "Split", max_length: int) -> Any:
        """Yield the columns by name, then the target."""
        for *cells, target in zip(*split.inputs, split.targets, strict=True):
            lines = [f"{name}: {cell}" for name, cell in zip(self.task.input_columns, cells, strict=True)]
            yield {"prompt": "\n".join([*lines, f"{self.task.target_column}:"]), "completion": f" {target}"}


def _token_losses(outputs: Any, batch: Batch) -> "Tensor":
    """Return rows x positions losses in float32, 0 for padding."""
    from torch.nn import functional

    logits = outputs.logits.float().transpose(1, 2)
    return functional.cross_entropy(logits, batch.targets, ignore_index=IGNORED, reduction="none")
