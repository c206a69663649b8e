"""Questions, choices, vectors, images, sounds and encoder-decoders: reading, losses against plain ones, and metrics by hand."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from torch.nn import functional
from transformers import AutoTokenizer, BertConfig, BertForMultipleChoice, BertForQuestionAnswering, BertModel

from autopeft.budget import Budget
from autopeft.errors import InvalidInputError
from autopeft.tasks import Encoded, Task, family_of, load_files
from autopeft.tasks.families.question_answering import f1, normalised
from autopeft.tasks.generated import decoder_room, details_of
from autopeft.tasks.sounds import sound
from autopeft.tasks.text_scores import means, rouge_l, scores_of_each, text_metrics
from tests.conftest import WORDS
from tests.tasks.helpers import write
from tests.tasks.media import png, wav

N = 12
SMALL = {"vocab_size": 32, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, "pad_token_id": 0}


@pytest.fixture(scope="module")
def tokenizer(backbone_folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(backbone_folder)


def context(index: int) -> str:
    return " ".join(WORDS[(index + step) % len(WORDS)] for step in range(8))


@pytest.fixture
def squad(tmp_path: Path) -> Path:
    rows = []
    for index in range(N):
        before = " ".join(context(index).split()[:2])
        answers = {"text": [WORDS[(index + 2) % len(WORDS)]], "answer_start": [len(before) + 1]}
        rows.append({"question": "the cat", "context": context(index), "answers": answers})
    (tmp_path / "squad.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path / "squad.jsonl"


def test_answers_are_found_in_windows(squad: Path, tokenizer: Any) -> None:
    data = load_files(squad)
    family = family_of(data.task)
    assert data.task.kind == "question_answering"
    for max_length in (32, 9):
        encoded = family.encode(tokenizer, data.train, max_length)
        assert (len(encoded) > len(data.train)) == (max_length == 9)
        predictions = []
        for row in encoded.rows:  # a model that knows the answer, and is sure of it only where the window holds it
            is_there = row["start"] > 0
            predictions.append((0.0, 1.0 if is_there else -1.0, row["start"] if is_there else 4, row["end"] if is_there else 4, 0.0))
        assert family.score(predictions, encoded) == {"f1": 1.0, "exact_match": 1.0, "loss": 0.0}


def test_a_long_question_leaves_room_for_its_text(squad: Path, tokenizer: Any) -> None:
    rows = [json.loads(line) | {"question": "the cat " * 20} for line in squad.read_text().splitlines()]
    squad.write_text("\n".join(map(json.dumps, rows)))
    data = load_files(squad)
    encoded = family_of(data.task).encode(tokenizer, data.train, 16)
    assert encoded.lengths.max() == 16
    assert all(sum(row["is_text"]) >= 4 for row in encoded.rows)
    with pytest.raises(InvalidInputError, match=r"need 4 tokens beside the special ones .got '6 tokens'.*--max-length 7"):
        family_of(data.task).encode(tokenizer, data.train, 6)


def test_a_span_is_the_best_that_may_be(squad: Path, tokenizer: Any) -> None:
    data = load_files(squad)
    family = family_of(data.task)
    encoded = family.encode(tokenizer, data.train, 32)
    torch.manual_seed(0)
    model = BertForQuestionAnswering(BertConfig(**SMALL)).eval()
    batch = encoded.batch(range(4))
    with torch.no_grad():
        outputs = family.forward(model, batch)
    found = family.reduce(outputs, batch)
    for index, (loss, score, first, last, none) in enumerate(found):
        may = [place for place, is_text in enumerate(encoded.rows[index]["is_text"]) if is_text]
        starts, ends = outputs.start_logits[index], outputs.end_logits[index]
        best = max((float(starts[a] + ends[b]) / 2, a, b) for a in may for b in may if a <= b < a + 30)
        assert (score, first, last) == (pytest.approx(best[0], abs=1e-6), best[1], best[2])
        assert none == pytest.approx(float(starts[0] + ends[0]) / 2)
        row = encoded.rows[index]
        expected = -(starts.log_softmax(0)[row["start"]] + ends.log_softmax(0)[row["end"]]) / 2
        assert loss == pytest.approx(float(expected), rel=1e-5)
    assert float(family.loss(outputs, batch)) == pytest.approx(sum(row[0] for row in found), rel=1e-5)


def test_squad_s_own_file_is_read_and_some_questions_have_no_answer(tmp_path: Path, tokenizer: Any) -> None:
    questions = [
        {"question": "what", "answers": [{"text": "cat", "answer_start": 4}]},
        {"question": "why", "is_impossible": True, "answers": []},
    ]
    article = {"paragraphs": [{"context": "the cat sees", "qas": questions}] * 6}
    (tmp_path / "squad.json").write_text(json.dumps({"version": "2.0", "data": [article]}))
    data = load_files(tmp_path / "squad.json")
    assert (data.task.kind, data.task.settings) == ("question_answering", {"unanswerable": True})
    family = family_of(data.task)
    encoded = family.encode(tokenizer, data.train, 32)
    nothing = [(0.0, 0.0, 5, 5, 1.0)] * len(encoded)
    answered = [len(answers) > 0 for answers in data.train.targets]
    assert family.score(nothing, encoded)["exact_match"] == pytest.approx(1 - np.mean(answered))


@pytest.mark.parametrize("seed", range(4))
def test_the_margin_of_no_answer_is_that_of_the_largest_f1(seed: int) -> None:
    rng = np.random.default_rng(seed)
    task = Task("t", "question_answering", ("q", "c"), "a", (), "f1", ("f1", "loss"), Budget(), {"unanswerable": True})
    references = [
        {"text": "a b", "answers": [["a"], ["a b"], []][number % 3], "windows": [(number, [(0, 1), (2, 3)])]} for number in range(12)
    ]
    ones = np.ones(12, dtype=np.int64)
    encoded = Encoded(family_of(task), None, [{}] * 12, references, ones, ones)
    predictions = [(0.0, float(score), 0, int(score > 0), 0.5) for score in np.round(rng.normal(size=12), 1)]
    tuned = encoded.family.tuned(predictions, encoded)
    found = family_of(tuned).score(predictions, encoded)["f1"]
    others = [family_of(replace(task, settings={"unanswerable": True, "margin": margin})) for margin in np.arange(-4, 4, 0.05)]
    assert found == pytest.approx(max(family.score(predictions, encoded)["f1"] for family in others))
    assert encoded.family.score(predictions, encoded)["f1"] <= found


@pytest.mark.parametrize(
    ("found", "answer", "expected"),
    [("The cat!", "cat", 1.0), ("old cat", "cat", 2 / 3), ("dog", "cat", 0.0), ("", "", 1.0), ("the", "", 1.0)],
)
def test_f1_of_answers(found: str, answer: str, expected: float) -> None:
    assert f1(found, answer) == pytest.approx(expected)
    assert normalised(" A  Cat, the dog. ") == "cat dog"


def test_an_answer_that_is_not_in_its_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(json.dumps({"question": "q", "context": "the cat", "answer": "dog"}) + "\n")
    with pytest.raises(InvalidInputError, match=r"line 1: an answer must stand in its text.*got 'dog'"):
        load_files(tmp_path / "t.jsonl")


CHOICES: dict[str, dict[str, list[Any]]] = {
    "list": {
        "question": ["the cat"] * N,
        "choices": [["sees", "likes red", "old"], ["dog", "bird"]] * (N // 2),
        "answer": [1, 0] * (N // 2),
    },
    "swag": {
        "sent1": ["the cat"] * N,
        "sent2": ["sees"] * N,
        "ending0": ["red"] * N,
        "ending1": ["blue old"] * N,
        "label": [1, 0] * (N // 2),
    },
    "copa": {
        "premise": ["the cat"] * N,
        "question": ["and"] * N,
        "choice1": ["red"] * N,
        "choice2": ["blue"] * N,
        "label": ["B", "A"] * (N // 2),
    },
}


@pytest.mark.parametrize("name", CHOICES)
def test_choices_are_read_and_scored(name: str, tmp_path: Path, tokenizer: Any) -> None:
    data = load_files(write(tmp_path / "own.jsonl", CHOICES[name]))
    assert data.task.kind == "multiple_choice"
    assert set(data.train.targets.tolist()) == {0, 1}  # type: ignore[union-attr]
    family = family_of(data.task)
    encoded = family.encode(tokenizer, data.train, 32)
    torch.manual_seed(0)
    model = BertForMultipleChoice(BertConfig(**SMALL)).eval()
    batch = encoded.batch(range(len(encoded)))
    with torch.no_grad():
        outputs = family.forward(model, batch)
        expected = []
        for row in encoded.rows:  # one question at a time, without choices that aren't there
            alone = tokenizer.pad(row["choices"], return_tensors="pt")
            logits = model(**{field: tensor[None] for field, tensor in alone.items()}).logits[0]
            expected.append((float(functional.cross_entropy(logits, torch.tensor(row["answer"]))), bool(logits.argmax() == row["answer"])))
    found = family.reduce(outputs, batch)
    assert [row[0] for row in found] == pytest.approx([row[0] for row in expected], rel=1e-4)
    assert [row[1] for row in found] == [row[1] for row in expected]
    assert float(family.loss(outputs, batch)) == pytest.approx(sum(row[0] for row in found), rel=1e-5)
    assert family.score(found, encoded)["accuracy"] == np.mean([row[1] for row in expected])


def test_a_choice_that_is_not_there_is_refused(tmp_path: Path) -> None:
    rows = {**CHOICES["swag"], "label": [1] * (N - 1) + [2]}
    with pytest.raises(InvalidInputError, match=rf"line {N}: the column 'label' must name one of 2 choices.*got 2"):
        load_files(write(tmp_path / "own.jsonl", rows))


def test_vectors_are_compared_with_all_texts_once(tmp_path: Path, tokenizer: Any) -> None:
    rows = {"query": [f"the {WORDS[index]}" for index in range(N)], "positive": [f"{WORDS[index // 2]} old" for index in range(N)]}
    data = load_files(write(tmp_path / "own.jsonl", rows))
    family = family_of(data.task)
    assert data.task.kind == "embedding"
    encoded = family.encode(tokenizer, data.train, 16)
    torch.manual_seed(0)
    model = BertModel(BertConfig(**SMALL)).eval()
    batch = encoded.batch(range(len(encoded)))
    with torch.no_grad():
        outputs = family.forward(model, batch)
        hidden = model(**batch.inputs).last_hidden_state
        mask = batch.inputs["attention_mask"][..., None]
        vectors = functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1)
    assert torch.allclose(outputs["vectors"], vectors, atol=1e-6)
    queries, documents = vectors.chunk(2)
    distinct = list(dict.fromkeys(data.train.targets))
    columns = [list(data.train.targets).index(text) for text in distinct]
    similar = queries @ documents[columns].T
    own = torch.tensor([distinct.index(text) for text in data.train.targets])
    assert float(family.loss(outputs, batch)) == pytest.approx(
        float(functional.cross_entropy(similar / 0.05, own, reduction="sum")), rel=1e-4
    )
    scores = family.score(family.reduce(outputs, batch), encoded)
    ranks = [1 + int((row > row[place]).sum()) for row, place in zip(similar, own, strict=True)]
    assert scores["mrr"] == pytest.approx(np.mean([1 / rank for rank in ranks]))
    assert scores["recall_1"] == pytest.approx(np.mean([rank == 1 for rank in ranks]))
    assert scores["ndcg_10"] == pytest.approx(np.mean([1 / np.log2(1 + rank) if rank <= 10 else 0 for rank in ranks]))
    assert scores["loss"] == pytest.approx(float(functional.cross_entropy(similar / 0.05, own)), rel=1e-4)


def test_a_folder_of_folders_needs_no_flag(tmp_path: Path) -> None:
    for index in range(N):
        path = tmp_path / "own" / ("dark", "light")[index % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(index, 200 * (index % 2)))
    data = load_files(tmp_path / "own")
    assert (data.task.kind, data.task.labels, data.task.name) == ("image_classification", ("dark", "light"), "own")
    assert len(data.train) + len(data.validation) + 1 == N
    (tmp_path / "own" / "dark" / "0.png").write_bytes(png(0, 0)[:60])
    with pytest.raises(InvalidInputError, match="an image can't be read"):
        load_files(tmp_path / "own")


def test_images_are_prepared_batch_by_batch(tmp_path: Path) -> None:
    import pandas as pd
    from transformers import ViTImageProcessorPil

    pd.DataFrame({"image": [{"bytes": png(index, 100), "path": None} for index in range(N)], "label": ["a", "b"] * (N // 2)}).to_parquet(
        tmp_path / "t.parquet"
    )
    data = load_files(tmp_path / "t.parquet")
    processor = ViTImageProcessorPil(size={"height": 8, "width": 8})
    batch = family_of(data.task).encode(processor, data.train, 1).batch([0, 1, 2])
    assert batch.inputs["pixel_values"].shape == (3, 3, 8, 8)
    assert batch.targets.tolist() == data.train.targets[:3].tolist()  # type: ignore[union-attr]


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.float32])
def test_sounds_are_resampled(dtype: Any) -> None:
    samples = sound(wav(8000, 440.0, dtype=dtype), 16_000)
    assert samples.dtype == np.float32
    assert len(samples) == 1600
    expected = np.sin(2 * np.pi * 440 * np.arange(1600) / 16_000)
    assert np.abs(samples[200:-200] - expected[200:-200]).max() < 0.05


def test_recordings_are_padded_together(tmp_path: Path) -> None:
    from transformers import Wav2Vec2FeatureExtractor

    for index in range(N):
        path = tmp_path / "own" / ("low", "high")[index % 2] / f"{index}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wav(8000, 200 + 400 * (index % 2), 0.05 * (1 + index % 3)))
    data = load_files(tmp_path / "own")
    assert data.task.kind == "audio_classification"
    batch = family_of(data.task).encode(Wav2Vec2FeatureExtractor(), data.train, 1).batch([0, 1, 2])
    assert batch.inputs["input_values"].shape[0] == 3
    (tmp_path / "own" / "low" / "0.wav").write_bytes(b"RIFFnothing")
    with pytest.raises(InvalidInputError, match="a recording can't be read"):
        load_files(tmp_path / "own")


def test_a_target_is_predicted_token_by_token(tmp_path: Path, tokenizer: Any) -> None:
    from transformers import T5Config, T5ForConditionalGeneration

    rows = {"document": [context(index) for index in range(N)], "summary": [" ".join(WORDS[: 1 + index % 3]) for index in range(N)]}
    data = load_files(write(tmp_path / "own.csv", rows))
    assert (data.task.kind, data.task.metric) == ("seq2seq", "loss")
    family = family_of(data.task)
    encoded = family.encode(tokenizer, data.train, 32)
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=32, d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2, decoder_start_token_id=0, pad_token_id=0, eos_token_id=3
    )
    model = T5ForConditionalGeneration(config).eval()
    batch = encoded.batch(range(len(encoded)))
    with torch.no_grad():
        outputs = family.forward(model, batch)
    found = family.score(family.reduce(outputs, batch), encoded)
    assert found["loss"] == pytest.approx(float(outputs.loss), rel=1e-5)
    assert float(family.loss(outputs, batch)) == pytest.approx(float(outputs.loss) * int(encoded.weights.sum()), rel=1e-5)
    written = family.write(model, encoded)
    assert [one.reference for one in written] == list(data.train.targets)
    assert {"exact_match", "rouge_l"} <= family.score_written(written).keys()
    (shown,) = details_of(written)
    assert shown.columns == ("given", "reference", "written", "ROUGE-L")
    assert {row[1] for row in shown.rows} <= set(data.train.targets)


@pytest.mark.parametrize(
    ("config", "n_new"),
    [
        (hf.BartConfig(max_position_embeddings=20), 19),
        (hf.LEDConfig(max_decoder_position_embeddings=20), 19),
        (hf.EncoderDecoderConfig(encoder=hf.BertConfig().to_dict(), decoder=hf.BertConfig(max_position_embeddings=20).to_dict()), 19),
        (hf.T5Config(), 10_000),
    ],
    ids=lambda value: type(value).__name__,
)
def test_no_more_is_written_than_a_decoder_has_positions_for(config: Any, n_new: int) -> None:
    model: Any = SimpleNamespace(config=config)
    assert decoder_room(model, 10_000) == n_new
    assert decoder_room(model, 5) == 5


def test_rouge_l_by_hand() -> None:
    assert rouge_l("the cat sat on the mat", "The cat is on a mat.") == pytest.approx(2 * 4 / 12)
    assert rouge_l("", "cat") == 0.0
    scores = scores_of_each([" red ", "blue"], ["red", "green"], text_metrics())
    assert means(scores) == {"exact_match": 0.5, "rouge_l": 0.5, "number_match": 0.0}


def test_texts_are_written_for_examples_with_prompts(tmp_path: Path) -> None:
    texts = load_files(str(write(tmp_path / "texts.jsonl", {"text": [f"text {place}" for place in range(30)]})), kind="causal_lm")
    prompts = ["", "the"] * 15
    pairs = write(tmp_path / "pairs.jsonl", {"prompt": prompts, "completion": [f"answer {place}" for place in range(30)]})
    answers = load_files(str(pairs), kind="causal_lm")
    assert [family_of(data.task).may_write(data.train) for data in (texts, answers)] == [False, True]
