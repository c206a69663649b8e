from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from autopeft.errors import InvalidInputError
from autopeft.tasks import family_of, load_files
from autopeft.tasks.spans import precision_recall_f1, spans
from tests.conftest import SHARED

CONLL = "the O\ncat B-animal\nsees O\n\n-DOCSTART- O\n\nold\tB-place\ndog\tI-place\nand\tO\n\n" * 5


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "t.conll").write_text(CONLL)
    return tmp_path / "t.conll"


@pytest.fixture(scope="module")
def tokenizer(backbone_folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(backbone_folder)


def test_a_conll_file_needs_no_flag(file: Path) -> None:
    data = load_files(file)
    assert data.task.kind == "token_classification"
    assert data.task.labels == ("O", "B-animal", "B-place", "I-place")
    assert data.task.metric == "span_f1"
    assert list(data.train.inputs[0][0]) == ["the", "cat", "sees"]
    assert list(data.train.targets[1]) == [2, 3, 0]


@pytest.mark.parametrize(
    ("content", "message"),
    [("the O\ncat\n", r"line 2: a line must hold a word and a tag .got 'cat'"), ("a O\n\nb O\n\nc O\n", "2 to 1,000 different tags")],
    ids=["no tag", "one tag"],
)
def test_a_bad_conll_file_is_refused_by_place(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "t.conll").write_text(content)
    with pytest.raises(InvalidInputError, match=message):
        load_files(tmp_path / "t.conll")


def test_a_comment_of_conll_u_is_no_word(tmp_path: Path) -> None:
    (tmp_path / "t.conll").write_text("# text = a b\n1\ta\tX\n2\tb\tY\n\n# O\nc Y\n\n" * 5)
    assert [len(words) for words in load_files(tmp_path / "t.conll").train.inputs[0][:2]] == [2, 2]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (["B-x", "I-x", "O", "B-y"], {(0, 2, "x"), (3, 4, "y")}),
        (["B-x", "B-x", "I-y"], {(0, 1, "x"), (1, 2, "x"), (2, 3, "y")}),
        (["I-x", "I-x", "O"], {(0, 2, "x")}),
        (["O", "O"], set()),
    ],
    ids=["BIO", "next to each other", "without B", "none"],
)
def test_spans(tags: list[str], expected: set[tuple[int, int, str]]) -> None:
    assert spans(tags) == expected


def test_span_f1_is_that_of_whole_spans() -> None:
    true, predicted = [spans(["B-x", "I-x", "O", "B-y"])], [spans(["B-x", "O", "O", "B-y"])]
    assert precision_recall_f1(true, predicted) == (0.5, 0.5, 0.5)
    assert precision_recall_f1([set()], [set()]) == (0.0, 0.0, 0.0)


def test_words_that_are_cut_away_count(file: Path, tokenizer: Any) -> None:
    data = load_files(file)
    family = family_of(data.task)
    encoded = family.encode(tokenizer, data.train, 4)  # [CLS], two words, [SEP]
    assert (encoded.whole > 4).all()
    batch = encoded.batch([0, 1])
    assert batch.targets.tolist() == [[-100, 0, 1, -100], [-100, 2, 3, -100]]
    right = [(0.0, [tag for tag in row["tags"] if tag != -100]) for row in encoded.rows]
    scores = family.score(right, encoded)
    assert scores["span_f1"] == 1.0  # what is cut away here is outside of spans
    assert scores["token_accuracy"] == 1.0
    nothing = [(0.0, [0, 0]) for _ in encoded.rows]
    assert family.score(nothing, encoded)["span_recall"] == 0.0


def test_loss_and_predictions_are_of_words_alone(file: Path, tokenizer: Any) -> None:
    data = load_files(file)
    family = family_of(data.task)
    encoded = family.encode(tokenizer, data.train, 32)
    batch = encoded.batch([0, 1, 2])
    torch.manual_seed(0)
    outputs = type("Outputs", (), {"logits": torch.randn(3, batch.targets.shape[1], 4)})()
    words = batch.targets != -100
    expected = torch.nn.functional.cross_entropy(outputs.logits[words], batch.targets[words], reduction="sum")
    assert family.loss(outputs, batch) == pytest.approx(float(expected), rel=1e-6)
    reduced = family.reduce(outputs, batch)
    assert sum(loss for loss, _ in reduced) == pytest.approx(float(expected), rel=1e-6)
    assert reduced[0][1] == outputs.logits[0].argmax(-1)[words[0]].tolist()
    assert int(encoded.weights[:3].sum()) == int(words.sum())
    with pytest.raises(InvalidInputError, match="a prediction for each of"):
        family.score(reduced, encoded)
    assert np.isnan(family.score([(float("nan"), [0] * len(row)) for row, _ in encoded.references], encoded)["span_f1"])


@pytest.mark.shared
def test_real_tweets_are_read() -> None:
    folder = SHARED / "data" / "tweets-ner"
    data = load_files(folder / "train.conll", folder / "validation.conll", folder / "test.conll", with_test=True)
    assert data.test is not None
    assert (len(data.train), len(data.validation), len(data.test)) == (2000, 200, 194)
    assert len(data.task.labels) == 21
