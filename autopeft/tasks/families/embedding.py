"""Vectors of texts, such that a query's lies near that of the text that fits it.

| symbol | meaning |
|---|---|
| q, p | mean of the last hidden states over a query's and its text's tokens, divided by its length |
| s | q . p / T, for every pair of a batch; T is the temperature |

loss = mean over queries of logsumexp(s[q, :]) - s[q, own text] (InfoNCE; van den Oord et al. 2018, arXiv 1807.03748): the other texts of a
batch are what a query must not be near to. So the loss depends on which examples share a batch, and a batch can't be taken in parts.
Metrics look each query up among all texts of the split.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from autopeft.budget import Budget
from autopeft.errors import InvalidInputError
from autopeft.tasks.columns import texts
from autopeft.tasks.details import Detail
from autopeft.tasks.encoded import Batch, Encoded
from autopeft.tasks.family import Columns, Family, all_finite, require_rows, stacked
from autopeft.tasks.metric import LOSS, Metric
from autopeft.tasks.text import padded, padded_length, tokenise

if TYPE_CHECKING:
    from torch import Tensor, nn

    from autopeft.tasks.table import Table
    from autopeft.tasks.task import Split, Task

TEMPERATURE = 0.05
_PAIRS = (("query", "positive"), ("anchor", "positive"), ("query", "document"), ("query", "passage"))
_MRR, _NDCG, _RECALL_1, _RECALL_10 = Metric("mrr"), Metric("ndcg_10"), Metric("recall_1"), Metric("recall_10")


class Embedding(Family):
    """InfoNCE over the texts of a batch."""

    name: ClassVar[str] = "embedding"
    summary: ClassVar[str] = "vectors of texts, near for a query and the text that fits it"
    columns_in_words: ClassVar[str] = "query and positive: a text, and another that fits it"
    auto_model: ClassVar[str] = "AutoModel"
    has_fresh_head: ClassVar[bool] = False
    one_sequence_a_row: ClassVar[bool] = False
    needs_whole_batches: ClassVar[bool] = True
    low_cost: ClassVar[Budget] = Budget(train_examples=2000, epochs=1, evaluation_examples=500, batch_size=32)
    peft_task_type: ClassVar[str] = "FEATURE_EXTRACTION"
    pipeline: ClassVar[str] = "sentence-similarity"

    @classmethod
    def find_columns(cls, table: "Table", given: Columns) -> Columns | None:
        """Take a usual pair."""
        if given.inputs and given.target:
            return Columns(given.inputs, given.target)
        found = next((pair for pair in _PAIRS if set(pair) <= set(table.columns)), None)
        return Columns((found[0],), found[1]) if found and not given.inputs and not given.target else None

    @classmethod
    def claims(cls, table: "Table", columns: Columns) -> bool:
        """Only columns of usual names say so."""
        return (columns.inputs[0], columns.target) in _PAIRS

    @classmethod
    def make_task(cls, table: "Table", name: str, columns: Columns) -> "Task":
        """Return a task that is searched by the mean reciprocal rank."""
        from autopeft.tasks.task import Task

        assert columns.target is not None
        metrics = tuple(metric.name for metric in cls.metrics_of(()))
        return Task(name, cls.name, columns.inputs, columns.target, (), _MRR.name, metrics, cls.low_cost)

    @classmethod
    def metrics_of(cls, labels: Sequence[str]) -> tuple[Metric, ...]:
        """Return the metrics."""
        return (_MRR, _NDCG, _RECALL_1, _RECALL_10, LOSS)

    @classmethod
    def check(cls, task: "Task") -> None:
        """Check the columns."""
        super().check(task)
        if len(task.input_columns) != 1 or task.labels:
            raise InvalidInputError("queries are read from one column", value=task.input_columns)

    def read(self, table: "Table", ids: Mapping[str, int]) -> "Split":
        """Return queries and texts."""
        from autopeft.tasks.task import Split

        return Split((texts(table, self.task.input_columns[0]),), texts(table, self.task.target_column))

    def require_trainable(self, split: "Split", source: str) -> None:
        """Check that there is something to tell apart."""
        if len(set(split.targets)) < 2:
            raise InvalidInputError(f"{source}: the texts that queries look for must differ", value=split.targets[0])

    def encode(self, processor: Any, split: "Split", max_length: int, *, training: bool = False) -> Encoded:
        """Return a row an example: the token ids of query and text."""
        queries, of_queries = tokenise(processor, [split.inputs[0]], max_length)
        documents, of_documents = tokenise(processor, [list(split.targets)], max_length)
        rows = [{"query": query, "text": text} for query, text in zip(queries, documents, strict=True)]
        longest = np.array([max(len(row["query"]["input_ids"]), len(row["text"]["input_ids"])) for row in rows], dtype=np.int64)
        whole = np.maximum(of_queries, of_documents)
        return Encoded(self, processor, rows, list(split.targets), longest, np.ones(len(rows), dtype=np.int64), whole)

    def collate(self, encoded: Encoded, indices: Sequence[int]) -> Batch:
        """Return all queries, then all texts, and for each text the number of the first that equals it: equal ones aren't wrong answers."""
        import torch

        rows = [encoded.rows[index] for index in indices]
        n_positions = padded_length(encoded, indices)
        inputs = padded(encoded.processor, [*(row["query"] for row in rows), *(row["text"] for row in rows)], n_positions)
        some = [tuple(row["text"]["input_ids"]) for row in rows]
        return Batch(inputs, torch.tensor([some.index(text) for text in some]))

    def forward(self, model: "nn.Module", batch: Batch) -> Any:
        """Return the outputs, with normalised means of the last hidden states as `vectors`."""
        from torch.nn import functional

        outputs = model(**batch.inputs)
        mask = batch.inputs["attention_mask"][..., None].float()
        hidden = outputs.last_hidden_state.float()
        outputs["vectors"] = functional.normalize((hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1), dim=1)
        return outputs

    def loss(self, outputs: Any, batch: Batch) -> "Tensor":
        """Return the sum of InfoNCE over queries."""
        import torch
        from torch.nn import functional

        queries, documents = outputs["vectors"].chunk(2)
        scores = queries @ documents.T / TEMPERATURE
        numbers = torch.arange(len(batch.targets), device=scores.device)
        is_repeat = batch.targets != numbers
        scores = scores.masked_fill(is_repeat[None, :], torch.finfo(scores.dtype).min)
        return functional.cross_entropy(scores, batch.targets, reduction="sum")

    def reduce(self, outputs: Any, batch: Batch) -> list[Any]:
        """Return for each row the query's vector and the text's."""
        queries, documents = outputs["vectors"].cpu().numpy().reshape(2, len(batch.targets), -1)
        return list(np.stack([queries, documents], axis=1))

    def score(self, predictions: Sequence[Any], encoded: Encoded) -> dict[str, float]:
        """Return how high a query's text stands among all texts of the split, those that equal another counted once."""
        from scipy.special import logsumexp

        require_rows(predictions, len(encoded))
        if not all_finite(predictions):
            return dict.fromkeys(self.task.metrics, float("nan"))
        similar, true, ranks = _compared(predictions, encoded)
        losses = logsumexp(similar / TEMPERATURE, axis=1) - true / TEMPERATURE
        scores = {
            _MRR.name: float(np.mean(1 / ranks)),
            _NDCG.name: float(np.mean(np.where(ranks <= 10, 1 / np.log2(1 + ranks), 0.0))),
            _RECALL_1.name: float(np.mean(ranks <= 1)),
            _RECALL_10.name: float(np.mean(ranks <= 10)),
            LOSS.name: float(np.mean(losses)),
        }
        return {name: scores[name] for name in self.task.metrics}

    def details(self, predictions: Sequence[Any], encoded: Encoded) -> list[Detail]:
        """Return where the queries' own texts stand."""
        similar, _, ranks = _compared(predictions, encoded)
        bands = [("1", 1, 1), ("2 to 3", 2, 3), ("4 to 10", 4, 10), ("11 to 100", 11, 100), ("above 100", 101, np.inf)]
        n_texts = similar.shape[1]
        counts = [(name, int(((ranks >= low) & (ranks <= high)).sum())) for name, low, high in bands if low <= n_texts]
        rows = tuple((name, count, round(count / len(ranks), 4)) for name, count in counts)
        return [Detail(f"Rank of a query's own text among {n_texts:,}", ("rank", "queries", "share"), rows)]

    def placeholders(self, table: "Table") -> list[Any]:
        """Return a text for each query."""
        return ["?"] * len(table)

    def answers_of(self, predictions: Sequence[Any], encoded: Encoded) -> list[dict[str, Any]]:
        """Return the query's vector, of length 1."""
        return [{"prediction": row[0].round(6).tolist()} for row in stacked(predictions)]

    @property
    def target_in_words(self) -> str:
        """What is computed."""
        return f"vectors, near for `{self.task.input_columns[0]}` and the `{self.task.target_column}` that fits it"

    @property
    def example(self) -> "Split":
        """Two queries with texts."""
        from autopeft.tasks.task import Split

        return Split((["What?", "How many words?"],), ["An example.", "Another example of more words."])

    def usage(self, max_length: int) -> str:
        """Return how near two texts are."""
        return (
            f'inputs = tokenizer(["A query.", "A text."], truncation=True, max_length={max_length}, padding=True, return_tensors="pt")\n'
            "with torch.no_grad():\n    hidden = model(**inputs).last_hidden_state\n"
            'mask = inputs["attention_mask"][..., None]\n'
            "vectors = torch.nn.functional.normalize((hidden * mask).sum(dim=1) / mask.sum(dim=1), dim=1)\n"
            "print((vectors[0] @ vectors[1]).item())"
        )


def _compared(predictions: Sequence[Any], encoded: Encoded) -> "tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]":
    """Return how similar queries are to all different texts, queries x texts, and of each query's own text similarity and rank from 1."""
    vectors = stacked(predictions)
    first: dict[str, int] = {}
    for row, text in enumerate(encoded.references):
        first.setdefault(text, row)
    order = {row: place for place, row in enumerate(first.values())}
    own = np.array([order[first[text]] for text in encoded.references])
    similar = vectors[:, 0] @ vectors[list(first.values()), 1].T
    true = similar[np.arange(len(own)), own]
    return similar, true, 1.0 + (similar > true[:, None]).sum(axis=1)
