"""What people look at beyond a metric: scores per class, what is taken for what, some answers beside the right ones.

Everything is a table, so that whoever shows it need not know the kind of task.

| symbol | meaning | shape |
|---|---|---|
| y | true class ids | n |
| p | predicted class ids | n |
| C | confusion matrix: C[i, j] examples of class i were predicted as j | c x c |
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from autopeft.errors import InvalidInputError

Cell = str | int | float
MAX_CLASSES = 100
"""Rows of a table of classes: the largest."""
MAX_MATRIX = 20
"""Classes of which all pairs are shown; of more only the most frequent mistakes are."""
MAX_MISTAKES = 20
N_SHOWN = 8
"""Answers that are shown whole."""
MAX_LETTERS = 400
"""Of a text that is shown."""
SCORES = ("examples", "precision", "recall", "F1")


@dataclass(frozen=True)
class Detail:
    """A table about a model's answers."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    is_matrix: bool = False
    """Whether rows and columns stand for the same classes, a row for the true one: a confusion matrix."""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_dict` wrote.

        Raises:
            TypeError: A field is missing or unknown, or no list.
            InvalidInputError: A row has more or less cells than there are columns, or a matrix holds what is no count.
        """
        rows = tuple(tuple(row) for row in data["rows"])
        if any(len(row) != len(data["columns"]) for row in rows):
            raise InvalidInputError("each row of a table must have a cell a column", value=data["title"])
        if data.get("is_matrix") and not all(isinstance(cell, int) for row in rows for cell in row[1:]):
            raise InvalidInputError("a confusion matrix must hold counts", value=data["title"])
        return cls(**{**data, "columns": tuple(data["columns"]), "rows": rows})


def of_classes(true: NDArray[Any], predicted: NDArray[Any], labels: Sequence[str], unit: str = "class") -> list[Detail]:
    """Return precision, recall and F1 of every class that is seen or predicted, and what is taken for what.

    Args:
        true: y.
        predicted: p.
        labels: The names of the c classes.
        unit: What a class is called.
    """
    counts = np.zeros((len(labels), len(labels)), dtype=np.int64)
    np.add.at(counts, (np.asarray(true, dtype=np.int64), np.asarray(predicted, dtype=np.int64)), 1)
    seen = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1))
    largest = sorted(seen.tolist(), key=lambda index: (-counts[index].sum(), index))[:MAX_CLASSES]
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (labels[index], *_scores(counts[index, index], counts[index].sum(), counts[:, index].sum())) for index in largest
    )
    scores = Detail(f"Scores per {unit}" + _of(len(rows), len(seen)), (unit, *SCORES), rows)
    return [scores, _confusion(counts, seen.tolist(), labels, unit)]


def _confusion(counts: NDArray[np.int64], seen: Sequence[int], labels: Sequence[str], unit: str) -> Detail:
    if len(seen) <= MAX_MATRIX:
        matrix: tuple[tuple[Cell, ...], ...] = tuple((labels[row], *(int(counts[row, column]) for column in seen)) for row in seen)
        return Detail("Confusion matrix", (f"true {unit}", *(labels[index] for index in seen)), matrix, is_matrix=True)
    pairs = [(row, column) for row in seen for column in seen if row != column and counts[row, column]]
    pairs.sort(key=lambda pair: -counts[pair])
    shown = tuple((labels[row], labels[column], int(counts[row, column])) for row, column in pairs[:MAX_MISTAKES])
    return Detail("The most frequent mistakes" + _of(len(shown), len(pairs)), (f"true {unit}", "taken for", "examples"), shown)


def of_counts(title: str, unit: str, counts: Mapping[str, tuple[int, int, int]]) -> Detail:
    """Return a table of precision, recall and F1.

    Args:
        title: What stands above it.
        unit: What a row is called.
        counts: By name of the row how many were right, are true, and were predicted.
    """
    rows = tuple((name, *_scores(*counts[name])) for name in sorted(counts, key=lambda name: -counts[name][1])[:MAX_CLASSES])
    return Detail(title + _of(len(rows), len(counts)), (unit, *SCORES), rows)


def of_texts(title: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Detail:
    """Return some rows of a table of texts, spread evenly over all of them, each text cut to a length that can be read."""
    places = np.unique(np.linspace(0, len(rows) - 1, min(N_SHOWN, len(rows))).round().astype(int)).tolist()
    shown = tuple(tuple(_short(cell) for cell in rows[place]) for place in places)
    return Detail(title + _of(len(shown), len(rows)), tuple(columns), shown)


def _scores(hits: int, n_true: int, n_predicted: int) -> tuple[Cell, ...]:
    """Return examples, precision, recall and F1; 0 where one is undefined."""
    ratios = hits / max(1, n_predicted), hits / max(1, n_true), 2 * hits / max(1, n_true + n_predicted)
    return (int(n_true), *(round(float(ratio), 4) for ratio in ratios))


def _short(cell: Cell) -> Cell:
    return cell if not isinstance(cell, str) or len(cell) <= MAX_LETTERS else cell[: MAX_LETTERS - 1] + "…"


def _of(n_shown: int, n_all: int) -> str:
    return f" ({n_shown} of {n_all:,})" if n_shown < n_all else ""
