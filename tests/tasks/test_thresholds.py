import numpy as np
import pytest
from sklearn.metrics import f1_score

from autopeft.budget import Budget
from autopeft.tasks import Encoded, Task, family_of
from autopeft.tasks.thresholds import best_threshold

TASK = Task("t", "multi_label", ("text",), "labels", ("a", "b", "c"), "micro_f1", ("micro_f1", "mean_average_precision", "loss"), Budget())


@pytest.mark.parametrize("seed", range(5))
def test_no_threshold_has_a_larger_f1(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.random(40) < 0.2
    scores = np.round(rng.normal(size=40) + labels - 2, 1)  # rounded, so that some tie
    found = f1_score(labels, scores > best_threshold(scores, labels))
    assert found == max(f1_score(labels, scores > least - 0.05, zero_division=0.0) for least in scores)


@pytest.mark.parametrize(("labels", "expected"), [([0, 0], 0.0), ([1, 1], -3.0), ([1, 0], 0.0)], ids=["none", "all", "one"])
def test_thresholds_at_the_ends(labels: list[int], expected: float) -> None:
    assert best_threshold(np.array([2.0, -2.0]), np.array(labels)) == expected


def test_a_tuned_task_answers_by_its_threshold_and_keeps_it() -> None:
    scores, labels = np.array([[-1.0, -2.0, -5.0], [-4.0, -1.5, -6.0]]), np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    ones = np.ones(2, dtype=np.int64)
    encoded = Encoded(family_of(TASK), None, [{}] * 2, labels, ones, ones)
    untuned = encoded.family.score(list(scores), encoded)
    tuned = family_of(Task.from_dict(encoded.family.tuned(list(scores), encoded).to_dict()))
    found = tuned.score(list(scores), encoded)
    assert (untuned["micro_f1"], found["micro_f1"]) == (0.0, 1.0)
    assert (found["loss"], found["mean_average_precision"]) == (untuned["loss"], untuned["mean_average_precision"])
    assert [answer["prediction"] for answer in tuned.answers_of(list(scores), encoded)] == [["a", "b"], ["b"]]
    assert "logit > -3" in tuned.usage(16)
