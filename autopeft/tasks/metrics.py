"""The metrics that tasks report, from scores in float64.

| symbol | meaning | shape |
|---|---|---|
| s | scores: logits, or predicted numbers | n x c, or n |
| y | labels: class ids, or numbers; of several labels an example, zeros and ones | n, or n x c |
| p | predicted class, the first of the largest logits | n |
| C | confusion matrix: C[i, j] examples of class i were predicted as j | c x c |

All but "loss" are better when larger. A metric that is undefined because predictions or labels are constant is 0.0.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Score = Callable[[Floats, NDArray[Any]], float]


def _confusion(scores: Floats, labels: NDArray[np.int64]) -> Floats:
    matrix = np.zeros((scores.shape[1], scores.shape[1]))
    np.add.at(matrix, (labels, scores.argmax(axis=1)), 1)
    return matrix


def _accuracy(scores: Floats, labels: NDArray[np.int64]) -> float:
    """Share of y = p."""
    return float(np.mean(scores.argmax(axis=1) == labels))


def _f1_per_class(scores: Floats, labels: NDArray[np.int64]) -> Floats:
    """2 C[k, k] / (row sum of k + column sum of k) for every class k; 0 for a class neither seen nor predicted."""
    matrix = _confusion(scores, labels)
    return _divide(2 * matrix.diagonal(), matrix.sum(axis=0) + matrix.sum(axis=1))


def _f1(scores: Floats, labels: NDArray[np.int64]) -> float:
    """F1 of the positive class, label 1."""
    return float(_f1_per_class(scores, labels)[1])


def _macro_f1(scores: Floats, labels: NDArray[np.int64]) -> float:
    """Mean F1 over the classes that are seen or predicted, so that no class needs to be called positive."""
    occurs = np.union1d(labels, scores.argmax(axis=1))
    return float(_f1_per_class(scores, labels)[occurs].mean())


def _matthews_correlation(scores: Floats, labels: NDArray[np.int64]) -> float:
    """Matthews correlation for any number of classes (Gorodkin 2004, R_K, doi 10.1016/j.compbiolchem.2004.09.006, eq. 8).

    (n tr C - t.q) / sqrt((n^2 - q.q)(n^2 - t.t)), with t the row sums and q the column sums of C.
    """
    matrix = _confusion(scores, labels)
    true, predicted, n = matrix.sum(axis=1), matrix.sum(axis=0), matrix.sum()
    spread = np.sqrt((n**2 - predicted @ predicted) * (n**2 - true @ true))
    return float(_divide(n * matrix.trace() - true @ predicted, spread))


def _average_precision(scores: Floats, labels: NDArray[np.int64]) -> float:
    """Sum over thresholds of (recall gained) x precision, examples with equal scores entering together; 0.0 without positives."""
    margin = scores[:, 1] - scores[:, 0]
    order = np.argsort(-margin, kind="stable")
    last_of_tie = np.append(np.diff(margin[order]) != 0, True)
    positives = np.cumsum(labels[order])[last_of_tie]
    taken = np.arange(1, len(labels) + 1)[last_of_tie]
    gained = np.diff(positives, prepend=0)
    return float(_divide(gained @ (positives / taken), positives[-1]))


def _cross_entropy(scores: Floats, labels: NDArray[np.int64]) -> float:
    """Mean of logsumexp(s) - s[y], shifted by the largest logit so that nothing overflows."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]))


def _squared_error(scores: Floats, labels: Floats) -> float:
    """Mean of (s - y)^2."""
    return float(np.mean((scores - labels) ** 2))


def _pearson(scores: Floats, labels: Floats) -> float:
    """Cosine of the centred s and y."""
    # Compared before centring: the mean of equal numbers may be off by a rounding error, which would read as spread.
    if np.ptp(scores) == 0 or np.ptp(labels) == 0:
        return 0.0
    x, y = scores - scores.mean(), labels - labels.mean()
    return float(np.clip(_divide(x @ y, np.linalg.norm(x) * np.linalg.norm(y)), -1.0, 1.0))


def _spearman(scores: Floats, labels: Floats) -> float:
    """Pearson correlation of the ranks."""
    return _pearson(_ranks(scores), _ranks(labels))


def _ranks(values: Floats) -> Floats:
    """Return ranks from 1; equal values share the mean of theirs."""
    _, group, count = np.unique(values, return_inverse=True, return_counts=True)
    mean_rank: Floats = np.cumsum(count) - (count - 1) / 2
    return mean_rank[group]


def _divide(numerator: Any, denominator: Any) -> Floats:
    """Return the quotient, 0 where the denominator is 0."""
    top, bottom = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    return np.divide(top, bottom, out=np.zeros_like(top), where=bottom != 0)


def _micro_f1(scores: Floats, labels: Floats) -> float:
    """F1 of all pairs of example and label together."""
    return _f1_of_labels(scores, labels, "micro")


def _macro_f1_of_labels(scores: Floats, labels: Floats) -> float:
    """Mean F1 over the labels; 0 for one neither seen nor predicted."""
    return _f1_of_labels(scores, labels, "macro")


def _f1_of_labels(scores: Floats, labels: Floats, average: str) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(labels > 0, scores > 0, average=average, zero_division=0.0))


def _mean_average_precision(scores: Floats, labels: Floats) -> float:
    """Mean average precision over the labels that an example has; 0.0 if there is none."""
    from sklearn.metrics import average_precision_score

    seen = [column for column in range(labels.shape[1]) if labels[:, column].any()]
    return float(np.mean([average_precision_score(labels[:, column], scores[:, column]) for column in seen])) if seen else 0.0


def _binary_cross_entropy(scores: Floats, labels: Floats) -> float:
    """Mean of log(1 + exp(s)) - y s over examples and labels."""
    return float(np.mean(np.logaddexp(0.0, scores) - labels * scores))


CLASSIFICATION: dict[str, Score] = {
    "accuracy": _accuracy,
    "f1": _f1,
    "macro_f1": _macro_f1,
    "matthews_correlation": _matthews_correlation,
    "average_precision": _average_precision,
    "loss": _cross_entropy,
}
"""By name, of logits n x c and n class ids; F1 and average precision only of two classes, the second of which is the positive one."""
REGRESSION: dict[str, Score] = {"pearson": _pearson, "spearman": _spearman, "loss": _squared_error}
"""By name, of n predicted and n true numbers."""
MULTI_LABEL: dict[str, Score] = {
    "micro_f1": _micro_f1,
    "macro_f1": _macro_f1_of_labels,
    "mean_average_precision": _mean_average_precision,
    "loss": _binary_cross_entropy,
}
"""By name, of logits n x c and an n x c matrix of zeros and ones."""


def perplexity(loss: float) -> float:
    """Return exp of a mean loss over tokens, finite however large that is."""
    return math.exp(min(loss, 700.0))


_BOUNDS = {
    "loss": (0.0, math.inf),
    "perplexity": (1.0, math.inf),
    **dict.fromkeys(("bleu", "chrf"), (0.0, 100.0)),
    **dict.fromkeys(("word_error_rate", "character_error_rate"), (0.0, math.inf)),
    **dict.fromkeys(("matthews_correlation", "pearson", "spearman"), (-1.0, 1.0)),
}


def bounds(name: str) -> tuple[float, float]:
    """Return the least and the largest value that a metric can have: no interval of it goes beyond. Most are shares."""
    return _BOUNDS.get(name, (0.0, 1.0))
