"""What people look at beyond metrics, against answers known by counting."""

import numpy as np
import pytest

from autopeft.errors import InvalidInputError
from autopeft.tasks.details import MAX_LETTERS, MAX_MATRIX, MAX_MISTAKES, N_SHOWN, Detail, of_classes, of_texts
from autopeft.tasks.encoded import Encoded
from autopeft.tasks.families.multi_label import MultiLabel
from autopeft.tasks.families.token_classification import TokenClassification
from autopeft.tasks.spans import precision_recall_f1, spans
from autopeft.tasks.task import Task


def test_classes_are_counted() -> None:
    true, predicted = np.array([0, 0, 0, 1, 1, 3]), np.array([0, 0, 1, 1, 0, 3])
    scores, matrix = of_classes(true, predicted, ["red", "green", "never", "blue"])
    assert scores.rows == (("red", 3, 0.6667, 0.6667, 0.6667), ("green", 2, 0.5, 0.5, 0.5), ("blue", 1, 1.0, 1.0, 1.0))
    assert matrix.is_matrix
    assert matrix.columns == ("true class", "red", "green", "blue")
    assert matrix.rows == (("red", 2, 1, 0), ("green", 1, 1, 0), ("blue", 0, 0, 1))


def test_a_matrix_that_was_edited_is_none() -> None:
    matrix = {"title": "Confusion matrix", "columns": ["true class", "red"], "rows": [["red", 2]], "is_matrix": True}
    assert Detail.from_dict(matrix).rows == (("red", 2),)
    for cell in (0.5, "2"):
        with pytest.raises(InvalidInputError, match="a confusion matrix must hold counts"):
            Detail.from_dict(matrix | {"rows": [["red", cell]]})


def test_of_many_classes_the_most_frequent_mistakes_are_shown() -> None:
    n = MAX_MATRIX + 5
    true = np.repeat(np.arange(n), 3)
    predicted = (true + (np.arange(3 * n) % 3 == 0)) % n
    predicted[true == 7] = 9
    _, mistakes = of_classes(true, predicted, [f"class {index}" for index in range(n)])
    assert not mistakes.is_matrix
    assert mistakes.rows[0] == ("class 7", "class 9", 3)
    assert len(mistakes.rows) == MAX_MISTAKES
    assert f"({MAX_MISTAKES} of {n})" in mistakes.title


def test_a_threshold_is_found_that_gives_a_label_the_best_f1() -> None:
    task = Task("own", "multi_label", ("text",), "labels", ("a", "b"), "micro_f1", ("micro_f1",), MultiLabel.low_cost)
    true = np.array([[1, 0], [1, 0], [0, 0], [0, 1]])
    logits = [np.array(row) for row in ([-1.0, -3.0], [-2.0, -2.0], [-4.0, -4.0], [-5.0, 2.0])]
    ones = np.ones(4, dtype=np.int64)
    family = MultiLabel(task)
    scores, thresholds = family.details(logits, Encoded(family, None, [{}] * 4, true, ones, ones))
    assert scores.rows == (("a", 2, 0.0, 0.0, 0.0), ("b", 1, 1.0, 1.0, 1.0))
    label, usual, threshold, best = thresholds.rows[0]
    assert (label, usual, best) == ("a", 0.0, 1.0)
    assert threshold == pytest.approx(1 / (1 + np.exp(2.0)), abs=1e-4)


def test_types_of_spans_add_up_to_the_whole() -> None:
    tags = ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
    task = Task("own", "token_classification", ("tokens",), "tags", tags, "span_f1", ("span_f1",), TokenClassification.low_cost)
    true, predicted = [[1, 2, 0, 3], [3, 4, 0]], [[1, 2, 0, 1], [3, 0, 3]]
    references = [(row, list(range(len(row)))) for row in true]
    ones = np.ones(2, dtype=np.int64)
    family = TokenClassification(task)
    types, matrix = family.details([(0.0, row) for row in predicted], Encoded(family, None, [{}] * 2, references, ones, ones))
    assert types.rows == (("PER", 2, 0.0, 0.0, 0.0), ("LOC", 1, 0.5, 1.0, 0.6667))
    named = [[spans([tags[tag] for tag in row]) for row in some] for some in (true, predicted)]
    assert precision_recall_f1(*named)[1] == pytest.approx((2 * 0.0 + 1 * 1.0) / 3)
    assert sum(sum(row[1:]) for row in matrix.rows) == 7


def test_texts_are_few_and_short() -> None:
    shown = of_texts("Answers", ("given", "written"), [(str(index), "x" * 2 * MAX_LETTERS) for index in range(100)])
    assert len(shown.rows) == N_SHOWN
    assert (shown.rows[0][0], shown.rows[-1][0]) == ("0", "99")
    assert all(len(row[1]) == MAX_LETTERS for row in shown.rows)
