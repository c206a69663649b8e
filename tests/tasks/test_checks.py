import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autopeft.budget import Budget
from autopeft.errors import InvalidInputError
from autopeft.tasks import load_files
from autopeft.tasks.checks import findings
from tests.tasks.helpers import write
from tests.tasks.media import png


def test_equal_texts_are_never_cut_apart(tmp_path: Path) -> None:
    file = write(tmp_path / "t.csv", {"text": [f"question {index % 100}" for index in range(400)], "label": ["a", "b"] * 200})
    data = load_files(file, with_test=True)
    assert data.test is not None
    texts = [set(split.inputs[0]) for split in (data.train, data.validation, data.test)]
    assert not texts[0] & texts[1]
    assert not texts[0] & texts[2]
    assert not texts[1] & texts[2]
    assert [len(split) for split in (data.train, data.validation, data.test)] == [320, 40, 40]


def test_every_class_gets_its_share_of_a_cut(tmp_path: Path) -> None:
    labels = ["a"] * 200 + ["b"] * 150 + ["c"] * 49 + ["d"]
    data = load_files(write(tmp_path / "t.csv", {"text": [f"text {index}" for index in range(400)], "label": labels}), with_test=True)
    assert data.test is not None
    for split in (data.validation, data.test):
        assert np.bincount(split.targets, minlength=4).tolist() == [20, 15, 5, 0]
    assert 3 in data.train.targets  # the only example of its class


def test_the_test_data_stays_when_validation_data_is_given(tmp_path: Path) -> None:
    file = write(tmp_path / "t.csv", {"text": [f"text {index}" for index in range(100)], "label": ["a", "b"] * 50})
    alone, beside = load_files(file, with_test=True), load_files(file, file, with_test=True)
    assert alone.test is not None
    assert beside.test is not None
    assert alone.test.inputs[0] == beside.test.inputs[0]


def test_too_few_different_examples_are_cut_apart_with_a_warning(tmp_path: Path) -> None:
    data = load_files(write(tmp_path / "t.csv", {"text": ["one", "two"] * 15, "label": ["a", "b"] * 15}))
    assert (len(data.train), len(data.validation)) == (24, 3)
    assert any("3 of 3 validation examples stand in train too" in finding for finding in findings(data, Budget()))


def test_what_may_be_wrong_is_said(tmp_path: Path) -> None:
    rows = {"text": [f"text {index}" for index in range(28)] + ["", "text 0"], "label": ["Person", "person ", "place"] * 10}
    validation = {"text": ["text 3", "new"], "label": ["place", "place"]}
    data = load_files(write(tmp_path / "t.jsonl", rows), write(tmp_path / "v.jsonl", validation))
    found = "\n".join(findings(data, Budget(train_examples=200, evaluation_examples=1)))
    assert "classification: 3 labels in 27 training examples: Person 33%" in found
    assert "warning: labels that differ in case or spaces alone are different ones: 'Person', 'person '" in found
    assert "warning: validation has examples of a single answer" in found
    assert "1 of 27 train examples have the same input as another one" in found
    assert "warning: 1 of 2 validation examples stand in train too" in found
    assert "warning: 1 of 27 train examples have an empty text" in found
    assert "standard error of up to 0.500" in found
    assert "a trial uses all 27 training examples, 200 were asked for" in found


def test_labels_that_look_alike_are_named_and_long_ones_cut(tmp_path: Path) -> None:
    labels = ["caf\u00e9", "cafe\u0301", "bar\u200b", "bar", "x" * 1000, "\x1b[31m"]
    rows = {"text": [f"text {i}" for i in range(60)], "label": labels * 10}
    found = "\n".join(findings(load_files(write(tmp_path / "t.jsonl", rows)), Budget()))
    assert "labels that look alike are different ones: 'cafe\\u0301', 'caf\\xe9'" in found
    assert "labels that look alike are different ones: 'bar', 'bar\\u200b'" in found
    assert f"{'x' * 60}... 1" in found
    assert "\\x1b[31m 1" in found


def test_labels_that_a_split_lacks_are_said(tmp_path: Path) -> None:
    rows = {"text": [f"text {index}" for index in range(100)], "label": ["a"] * 50 + ["b"] * 49 + ["c"]}
    data = load_files(write(tmp_path / "t.csv", rows), with_test=True)
    found = [finding for finding in findings(data, Budget()) if "no " in finding]
    assert found == [f"warning: 1 of 3 labels has no {role} example: 'c'" for role in ("validation", "test")]


def test_ratings_are_said_to_be_taken_as_classes(tmp_path: Path) -> None:
    rows = {"text": [f"text {index}" for index in range(100)], "label": [str(index % 10 + 1) for index in range(100)]}
    assert (
        "the labels are numbers, taken as classes; --kind regression" in findings(load_files(write(tmp_path / "t.csv", rows)), Budget())[0]
    )


SOME = [f"text {index}" for index in range(40)]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"text": SOME, "labels": [["a", "b"], ["a"]] * 20}, r"multi_label: 2 labels in 32 .* 1\.\d an example: a 100%, b \d+%"),
        ({"prompt": SOME, "completion": ["no", "no", "no", "yes"] * 10}, r"causal_lm: 2 choices in 32 .*: no \d+%, yes \d+%"),
        ({"text": SOME, "label": ["a;b", "a"] * 20}, r"classification: 2 labels in 32 .*one label each; --kind multi_label reads several"),
    ],
)
def test_shares_of_labels_and_choices_are_said(columns: dict[str, list[Any]], said: str, tmp_path: Path) -> None:
    assert re.search(said, findings(load_files(write(tmp_path / "t.jsonl", columns), with_test=True), Budget())[0])


def test_classes_of_images_are_no_amounts(tmp_path: Path) -> None:
    for index in range(20):
        path = tmp_path / "own" / str(index % 4) / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(index, 100))
    (said, *_) = findings(load_files(tmp_path / "own"), Budget())
    assert said.startswith("image_classification: 4 labels in ")
    assert "amounts" not in said


def test_free_text_is_no_class(tmp_path: Path) -> None:
    file = write(tmp_path / "t.csv", {"text": [f"text {i}" for i in range(60)], "label": [f"a summary of {i}" for i in range(60)]})
    with pytest.raises(
        InvalidInputError, match=r"nearly as many labels as rows, which looks like text to be generated .got 60.*--kind causal_lm"
    ):
        load_files(file)
