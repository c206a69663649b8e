import json
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from autopeft.budget import Budget
from autopeft.errors import InvalidInputError, UnknownNameError
from autopeft.tasks import Split, Task, TaskData, family_of, get_task, task_names
from tests.tasks.helpers import examples

TASK = Task("mood", "classification", ("text",), "label", ("sad", "glad"), "accuracy", ("accuracy", "loss"), Budget())
SPLIT = Split((["a", "b", "c", "d"],), np.array([0, 1, 0, 1]))


@pytest.mark.parametrize("name", task_names())
def test_every_task_survives_json(name: str) -> None:
    task = get_task(name)
    assert Task.from_dict(json.loads(json.dumps(task.to_dict()))) == task


def test_number_of_outputs() -> None:
    assert family_of(get_task("mnli")).model_arguments == {"num_labels": 3}
    assert family_of(get_task("stsb")).model_arguments == {"num_labels": 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input_columns": ()}, "reads at least one column"),
        ({"input_columns": ("a", "a")}, "reads at least one column and predicts another"),
        ({"input_columns": ("label",)}, "predicts another one, here 'label'"),
        ({"labels": ()}, "two or more label names"),
        ({"labels": ("one",)}, "two or more label names"),
        ({"labels": ("one", "one")}, "labels must differ"),
        ({"metric": "f1"}, "the searched metric must be one of"),
    ],
    ids=str,
)
def test_a_contradictory_task_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        replace(TASK, **change)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown kind of task .*Did you mean 'classification'"):
        replace(TASK, kind="clasification")


@pytest.mark.parametrize(
    ("labels", "metric"), [(("a", "b"), "pearson"), (("a", "b", "c"), "f1"), (("a", "b"), "acuracy")], ids=["kind", "binary", "typo"]
)
def test_a_metric_that_the_task_cannot_report_is_refused(labels: tuple[str, ...], metric: str) -> None:
    with pytest.raises(UnknownNameError, match=f"unknown metric .*{metric}"):
        replace(TASK, labels=labels, metrics=("accuracy", metric))


def test_json_with_a_missing_or_unknown_key_is_refused() -> None:
    data = TASK.to_dict()
    with pytest.raises(InvalidInputError, match="exactly the keys"):
        Task.from_dict({**data, "colour": "red"})
    del data["labels"]
    with pytest.raises(InvalidInputError, match="labels"):
        Task.from_dict(data)


def test_take_keeps_texts_and_labels_together() -> None:
    assert examples(SPLIT.take([3, 0])) == [("d", 1), ("a", 0)]
    assert examples(SPLIT.take(np.array([1]))) == [("b", 1)]
    assert len(SPLIT.take([])) == 0
    assert len(SPLIT) == 4


def test_data_travels_by_pickle() -> None:
    data = pickle.loads(pickle.dumps(TaskData(TASK, SPLIT, SPLIT, None, ("a note",))))
    assert (data.task, data.test, data.notes) == (TASK, None, ("a note",))
    assert examples(data.train) == examples(SPLIT)
    assert data.train.targets.dtype == np.int64


def test_trivial_scores_are_what_one_answer_for_all_reaches() -> None:
    task = replace(TASK, metrics=("accuracy", "f1", "matthews_correlation", "loss"))
    labels = np.array([0, 1, 1, 1])
    split = Split((["a", "b", "c", "d"],), labels)
    assert TaskData(task, split, split, None).trivial_scores() == {
        "accuracy": 0.75,
        "f1": pytest.approx(6 / 7),
        "matthews_correlation": 0.0,
    }
    stsb = get_task("stsb")
    numbers = Split((["a", "b"], ["c", "d"]), np.array([1.0, 4.0]))
    assert TaskData(stsb, numbers, numbers, None).trivial_scores() == {name: 0.0 for name in stsb.metrics if name != "loss"}
