import math

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from autopeft.budget import Budget
from autopeft.errors import InvalidInputError
from autopeft.tasks import Encoded, Task, family_of

BINARY = ("accuracy", "f1", "macro_f1", "matthews_correlation", "average_precision", "loss")
MANY = ("accuracy", "macro_f1", "matthews_correlation", "loss")


def task(n_labels: int, metrics: tuple[str, ...] = BINARY) -> Task:
    kind = "classification" if n_labels else "regression"
    labels = tuple(f"label{index}" for index in range(n_labels))
    return Task("t", kind, ("text",), "label", labels, metrics[0], metrics, Budget())


def compute_metrics(task: Task, scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Score n x c logits, or n numbers."""
    ones = np.ones(len(labels), dtype=np.int64)
    encoded = Encoded(family_of(task), None, [{}] * len(labels), labels, ones, ones)
    return encoded.family.score(list(scores if scores.ndim == 2 else scores[:, None]), encoded)


REGRESSION = task(0, ("spearman", "pearson", "loss"))


def logits(predictions: list[int], n_labels: int = 2) -> np.ndarray:
    return np.eye(n_labels)[predictions]


def test_binary_metrics_match_counting() -> None:
    # 3 true positives, 2 false positives, 1 false negative, 4 true negatives.
    labels = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0])
    got = compute_metrics(task(2), logits([1, 1, 1, 0, 1, 1, 0, 0, 0, 0]), labels)
    assert got["accuracy"] == pytest.approx(0.7)
    assert got["f1"] == pytest.approx(2 * 3 / (2 * 3 + 2 + 1))
    assert got["macro_f1"] == pytest.approx((6 / 9 + 8 / 11) / 2)
    assert got["matthews_correlation"] == pytest.approx((3 * 4 - 2 * 1) / math.sqrt(5 * 4 * 6 * 5))
    # Two thresholds: at the first 3 of 5 taken are positive and recall is 3/4; at the second 4 of 10 and recall gains 1/4.
    assert got["average_precision"] == pytest.approx(3 / 4 * 3 / 5 + 1 / 4 * 4 / 10)
    # A margin of 1 in logits: log(1 + e^-1) when right, one more when wrong.
    assert got["loss"] == pytest.approx(math.log(1 + math.exp(-1)) + 0.3)


def test_regression_metrics_match_counting() -> None:
    got = compute_metrics(REGRESSION, np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0, 2.0]))
    assert got["loss"] == pytest.approx((0 + 1 + 4) / 3)
    assert got["spearman"] == pytest.approx(1 - 6 * (0 + 1 + 1) / (3 * 8))
    assert got["pearson"] == pytest.approx(1 / math.sqrt(14 / 3 * 2))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n_labels", [2, 3, 7])
def test_classification_agrees_with_scikit_learn(n_labels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(n_labels, size=60)
    # Rounded, so that scores tie.
    scores = np.round(rng.normal(size=(60, n_labels)) + np.eye(n_labels)[labels], 1)
    predicted = scores.argmax(axis=1)
    got = compute_metrics(task(n_labels, BINARY if n_labels == 2 else MANY), scores, labels)
    assert got["accuracy"] == pytest.approx(sk.accuracy_score(labels, predicted))
    assert got["macro_f1"] == pytest.approx(sk.f1_score(labels, predicted, average="macro"))
    assert got["matthews_correlation"] == pytest.approx(sk.matthews_corrcoef(labels, predicted))
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    assert got["loss"] == pytest.approx(sk.log_loss(labels, probabilities, labels=range(n_labels)))
    if n_labels == 2:
        assert got["f1"] == pytest.approx(sk.f1_score(labels, predicted))


def test_average_precision_agrees_with_scikit_learn_on_ties() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        labels, margin = rng.integers(2, size=30), rng.integers(5, size=30).astype(float)
        labels[0] = 1
        got = compute_metrics(task(2), np.stack([np.zeros(30), margin], axis=1), labels)
        assert got["average_precision"] == pytest.approx(sk.average_precision_score(labels, margin))


@pytest.mark.parametrize("seed", range(5))
def test_regression_agrees_with_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.round(rng.uniform(0, 5, size=50), 0)
    scores = np.round(labels + rng.normal(size=50), 1)
    got = compute_metrics(REGRESSION, scores, labels)
    assert got["pearson"] == pytest.approx(stats.pearsonr(scores, labels).statistic)
    assert got["spearman"] == pytest.approx(stats.spearmanr(scores, labels).statistic)
    assert got["loss"] == pytest.approx(sk.mean_squared_error(labels, scores))


def test_constant_predictions_have_no_correlation() -> None:
    # 0.1 is not exact: its mean differs from it, and must not be read as spread.
    assert compute_metrics(REGRESSION, np.full(7, 0.1), np.arange(7.0))["pearson"] == 0.0
    assert compute_metrics(REGRESSION, np.full(7, 0.1), np.arange(7.0))["spearman"] == 0.0
    majority = compute_metrics(task(2), logits([1, 1, 1, 1]), np.array([0, 1, 1, 1]))
    assert majority["matthews_correlation"] == 0.0
    assert majority["accuracy"] == 0.75


def test_average_precision_without_positives_is_zero() -> None:
    assert compute_metrics(task(2), logits([1, 0]), np.array([0, 0]))["average_precision"] == 0.0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_makes_every_metric_nan(bad: float) -> None:
    scores = logits([0, 1, 1])
    scores[1, 0] = bad
    got = compute_metrics(task(2), scores, np.array([0, 1, 1]))
    assert set(got) == set(BINARY)
    assert all(math.isnan(value) for value in got.values())
    assert all(math.isnan(value) for value in compute_metrics(REGRESSION, np.array([bad, 1.0]), np.array([1.0, 2.0])).values())


def test_the_loss_of_large_logits_does_not_overflow() -> None:
    got = compute_metrics(task(2), np.array([[1e4, 0.0], [0.0, 1e4]], dtype=np.float32), np.array([0, 0]))
    assert got["loss"] == pytest.approx(5e3)


def test_half_precision_scores_are_computed_in_float64() -> None:
    scores = np.array([1.0, 2.0, 3.0], dtype=np.float16)
    assert compute_metrics(REGRESSION, scores, np.array([1.1, 2.1, 3.1]))["loss"] == pytest.approx(0.01)


@pytest.mark.parametrize("scores", [np.zeros((3, 3)), np.zeros(3), np.zeros((2, 2))], ids=["classes", "one-dimensional", "examples"])
def test_scores_of_a_wrong_shape_are_refused(scores: np.ndarray) -> None:
    with pytest.raises(InvalidInputError, match=r"must have 2 scores|a prediction for each of 3 rows"):
        compute_metrics(task(2), scores, np.array([0, 1, 0]))


def test_no_examples_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="at least one row"):
        compute_metrics(task(2), np.zeros((0, 2)), np.zeros(0, dtype=np.int64))
