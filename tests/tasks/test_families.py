"""What every kind of task keeps to, and that nothing outside its file asks of which kind a task is."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autopeft.budget import Budget
from autopeft.errors import InvalidInputError
from autopeft.tasks import Task, early_metrics, family_class, family_names, family_of, load_files
from autopeft.tasks.reading import read_table
from autopeft.tasks.table import Table
from tests.tasks.helpers import write
from tests.tasks.small import LISTENING, NAMED

PACKAGE = Path(__file__).parents[2] / "autopeft"
N = 20
COLUMNS: dict[str, dict[str, list[Any]]] = {
    "classification": {"text": ["a b"] * N, "label": ["yes", "no"] * (N // 2)},
    "regression": {"text": ["a b"] * N, "score": [index / 2 for index in range(N)]},
    "multi_label": {"text": ["a b"] * N, "labels": [["red"], ["red", "blue"]] * (N // 2)},
    "token_classification": {"tokens": [["a", "b"]] * N, "tags": [["O", "B-x"], ["B-x", "I-x"]] * (N // 2)},
    "question_answering": {"question": ["a"] * N, "context": ["a b c"] * N, "answer": ["b", "c"] * (N // 2)},
    "multiple_choice": {"question": ["a"] * N, "choices": [["b", "c"]] * N, "label": [0, 1] * (N // 2)},
    "embedding": {"query": ["a"] * N, "positive": [f"b {index}" for index in range(N)]},
    "image_classification": {"image": ["0.png", "1.png"] * (N // 2), "label": ["x", "y"] * (N // 2)},
    "audio_classification": {"audio": ["0.wav", "1.wav"] * (N // 2), "label": ["x", "y"] * (N // 2)},
    "speech_to_text": {"audio": ["0.wav", "1.wav"] * (N // 2), "text": ["a b", "c"] * (N // 2)},
    "speech_seq2seq": {"audio": ["0.wav", "1.wav"] * (N // 2), "text": ["a b", "c"] * (N // 2)},
    "seq2seq": {"document": ["a b"] * N, "summary": [f"c {index}" for index in range(N)]},
    "causal_lm": {"prompt": ["a b"] * N, "completion": [f"c {index}" for index in range(N)]},
}


def write_media(name: str, folder: Path) -> None:
    """Write the two images or recordings that the columns name."""
    suffix = {"image_classification": "png", **dict.fromkeys(LISTENING, "wav")}.get(name)
    if suffix is not None:
        kind = name if suffix == "png" else "audio_classification"
        task = Task(name, kind, ("file",), "label", ("x", "y"), "accuracy", ("accuracy",), Budget())
        for place, content in enumerate(family_of(task).example.inputs[0]):
            (folder / f"{place}.{suffix}").write_bytes(content)


def test_every_family_has_columns_here() -> None:
    assert COLUMNS.keys() == set(family_names())


def test_nobody_asks_of_which_kind_a_task_is() -> None:
    """What depends on it belongs into the family's file."""
    names = "|".join(family_names())
    asks = re.compile(rf"(task|self)\.kind\s*(==|!=|in\b)|kind\s*(==|!=)\s*\"({names})\"|(peft_task_type|pipeline)\s*(==|!=|in\b|not in\b)")
    paths = [path for path in sorted(PACKAGE.rglob("*.py")) if path.parent.name != "families"]
    assert paths
    assert not [str(path) for path in paths if asks.search(path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("name", family_names())
def test_columns_of_usual_names_need_no_flag(name: str, tmp_path: Path) -> None:
    write_media(name, tmp_path)
    data = load_files(write(tmp_path / "own.jsonl", COLUMNS[name]), kind=NAMED.get(name))
    task = data.task
    assert task.kind == name
    assert type(task).from_dict(task.to_dict()) == task
    assert len(data.train) + len(data.validation) + 2 == N
    family = family_of(task)
    assert family.metrics.keys() == set(task.metrics)
    assert family.metrics["loss"].direction == "minimize"
    assert list(early_metrics(family.metrics.values()))[-1] == "loss"
    assert set(data.trivial_scores()) <= set(task.metrics) - {"loss"}
    assert all(np.isfinite(value) for value in data.trivial_scores().values())


@pytest.mark.parametrize("name", family_names())
def test_a_family_says_what_it_is(name: str) -> None:
    family = family_class(name)
    assert family.name == name
    assert family.summary
    assert family.columns_in_words
    assert family.__doc__


def test_a_file_of_no_kind_is_refused_with_its_columns(tmp_path: Path) -> None:
    file = write(tmp_path / "own.csv", {"one": ["a"] * 9, "two": ["b"] * 9, "three": ["c"] * 9})
    with pytest.raises(InvalidInputError, match=r"own\.csv: which columns to read .*got 'one, two, three'.*--text COLUMN"):
        load_files(file)
    with pytest.raises(InvalidInputError, match="isn't clear without a column of lists of words"):
        load_files(file, kind="token_classification")


def test_of_a_file_with_one_other_column_that_is_the_text(tmp_path: Path) -> None:
    task = load_files(write(tmp_path / "own.csv", {"remark": ["a"] * 9 + ["b"], "class": ["x", "y"] * 5})).task
    assert (task.input_columns, task.target_column) == (("remark",), "class")


@pytest.mark.parametrize(("scores", "expected"), [({"loss": 1.0}, (-1.0, -1.0)), ({"loss": 2.0}, (-2.0, -2.0))], ids=str)
def test_a_metric_that_is_better_when_smaller_ranks_so(scores: dict[str, float], expected: tuple[float, float], tmp_path: Path) -> None:
    task = load_files(write(tmp_path / "own.jsonl", COLUMNS["causal_lm"])).task
    assert task.metric == "loss"
    assert family_of(task).rank(scores) == expected


def test_several_labels_are_read_from_lists_and_from_names_with_semicolons(tmp_path: Path) -> None:
    lists = load_files(write(tmp_path / "a.jsonl", COLUMNS["multi_label"]))
    names = load_files(write(tmp_path / "b.csv", {"text": ["a b"] * N, "labels": ["red", " red; blue "] * (N // 2)}), kind="multi_label")
    assert lists.task.labels == names.task.labels == ("blue", "red")
    assert np.array_equal(lists.train.targets, names.train.targets)
    assert lists.train.targets.shape == (len(lists.train), 2)
    with pytest.raises(InvalidInputError, match=r"line 3: the labels in column .labels. must be ones of the training data .got 'green'"):
        family_of(lists.task).read(Table("t", {"text": ["a", "b"], "labels": [["red"], ["green"]]}, [2, 3], "line"), {"blue": 0, "red": 1})


def test_metrics_of_several_labels_match_scikit_learn(tmp_path: Path) -> None:
    from sklearn import metrics as sk

    task = load_files(write(tmp_path / "a.jsonl", COLUMNS["multi_label"])).task
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=(50, 2)), (rng.random((50, 2)) < 0.4).astype(float)
    found = family_of(task).score_arrays(scores, labels)  # type: ignore[attr-defined]
    assert found["micro_f1"] == pytest.approx(sk.f1_score(labels, scores > 0, average="micro"))
    assert found["mean_average_precision"] == pytest.approx(sk.average_precision_score(labels, scores, average="macro"))
    probabilities = 1 / (1 + np.exp(-scores))
    assert found["loss"] == pytest.approx(np.mean([sk.log_loss(labels[:, k], probabilities[:, k]) for k in range(2)]))


@pytest.mark.parametrize("name", family_names())
def test_examples_without_answers_are_read(name: str, tmp_path: Path) -> None:
    """The same inputs as with answers, which aren't looked at where they are there."""
    write_media(name, tmp_path)
    file = write(tmp_path / "own.jsonl", COLUMNS[name])
    task = load_files(file, kind=NAMED.get(name)).task
    family = family_of(task)
    without = write(tmp_path / "new.jsonl", {column: COLUMNS[name][column] for column in task.input_columns})
    wanted = family.read(read_table(file), {label: index for index, label in enumerate(task.labels)})
    for path in (without, file):
        found = family.read_unlabelled(read_table(path))
        assert len(found) == N
        assert [list(column) for column in found.inputs] == [list(column) for column in wanted.inputs]
