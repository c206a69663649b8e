"""Every kind of task through a runner: it learns, it pauses to the last bit, and a saved adapter gives the metrics that were measured."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as hf
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors

from autopeft.budget import Budget
from autopeft.configuration import Configuration, PeftModule
from autopeft.errors import UnavailableError
from autopeft.methods.checkpoint import unpack
from autopeft.tasks import Split, Task, family_names, family_of, load_files
from autopeft.tasks.details import Detail
from autopeft.training.backbone import find_backbone
from autopeft.training.evaluate import evaluate, predict, resampled_scores
from autopeft.training.measurement import Assignment, Outcome, RunnerSettings
from autopeft.training.model import load_model
from autopeft.training.runner import TrialRunner
from tests.tasks.helpers import write
from tests.tasks.media import wav
from tests.tasks.small import NAMED, write_task

BUDGET = Budget(epochs=5, batch_size=8, max_length=32)
CONFIGURATION = Configuration((PeftModule("lora", 4, (1, 2)), PeftModule("parallel_adapter", 4, (2,))), {"learning_rate": 1e-2})


@pytest.fixture(scope="module", params=family_names())
def runner(request: pytest.FixtureRequest, backbone_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> TrialRunner:
    kind = request.param
    file, model = write_task(kind, tmp_path_factory.mktemp(kind), backbone_folder)
    data = load_files(file, file, file, kind=NAMED.get(kind), with_test=True)
    assert data.task.kind == kind
    settings = RunnerSettings(find_backbone(str(model)), data.task, data.train, data.validation, threads=1)
    return TrialRunner(settings)


def test_a_trial_learns_pauses_and_is_saved(runner: TrialRunner) -> None:
    assignment = Assignment(0, CONFIGURATION, BUDGET, 0, (0.2, 1.0))
    whole = runner.run(assignment)
    assert whole.measurement is not None, whole.traceback
    found = whole.measurement
    assert found.metrics.keys() == set(runner._settings.task.metrics)
    first, last = found.curve
    # Of the same examples; with dropout, or where labels follow from no text, so few steps show in one of the two alone.
    assert last.train_loss < first.train_loss or last.metrics["loss"] < first.metrics["loss"]
    paused: Outcome = runner.run(replace(assignment, measure_at=(0.2,)))
    later = runner.run(replace(assignment, measure_at=(1.0,), checkpoint=paused.checkpoint))
    assert later.measurement is not None, later.traceback
    assert later.measurement.curve == found.curve
    assert (later.details, paused.details) == (whole.details, ())
    assert tuple(Detail.from_dict(json.loads(json.dumps(one.to_dict()))) for one in whole.details) == whole.details
    assert bool(whole.details) == (
        runner._settings.task.kind not in ("causal_lm", "seq2seq", "speech_seq2seq")
    )  # what these write is looked at
    family = family_of(runner._settings.task)
    applied = unpack(runner._loaded.model, whole.adapter, topology=runner._topology)
    try:
        validation = family.encode(runner._loaded.processor, runner._settings.validation, BUDGET.max_length)
        assert evaluate(runner._loaded.model, validation) == dict(found.metrics)
    finally:
        applied.eject()


def test_lengths_are_those_before_anything_is_cut(runner: TrialRunner) -> None:
    family, split = family_of(runner._settings.task), runner._settings.validation
    short, long = (family.encode(runner._loaded.processor, split, max_length, training=True) for max_length in (9, 64))
    if family.name == "image_classification":
        assert short.whole is None
        return
    assert short.whole is not None
    assert long.whole is not None
    assert short.whole.tolist() == long.whole.tolist()
    assert len(long.whole) == len(split)
    assert (long.whole >= 3).all()
    if family.length_unit[0] == "seconds":
        assert set(long.whole) == {800, 960, 1120}
    elif family.name not in ("seq2seq", "embedding"):  # which have two sequences a row
        assert long.whole.tolist() == long.lengths.tolist()


@pytest.mark.parametrize("family", ["XLNet", "Bert", "GPT2"])
def test_a_batch_scores_as_its_texts_alone(family: str, backbone_folder: Path, tmp_path: Path) -> None:
    """XLNet's head reads the last position, where a shorter text of a batch must end."""
    sizes = {
        "XLNet": {"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48},
        "Bert": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48},
        "GPT2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64},
    }
    config = getattr(hf, f"{family}Config")(vocab_size=24, pad_token_id=0, initializer_range=0.3, **sizes[family])
    torch.manual_seed(0)
    getattr(hf, f"{family}Model")(config).save_pretrained(tmp_path)
    hf.AutoTokenizer.from_pretrained(backbone_folder, padding_side="left").save_pretrained(tmp_path)
    task = Task("t", "classification", ("text",), "label", ("a", "b", "c"), "accuracy", ("accuracy",), Budget())
    loaded = load_model(find_backbone(str(tmp_path)), family_of(task))
    split = Split((["the cat", "the old dog sees not very quick red and blue bird", "old bird likes new"],), np.zeros(3, dtype=np.int64))
    together = predict(loaded.model, family_of(task).encode(loaded.processor, split, 32))
    alone = [predict(loaded.model, family_of(task).encode(loaded.processor, split.take([index]), 32))[0] for index in range(3)]
    assert np.abs(np.stack(together) - np.stack(alone)).max() < 1e-5
    assert np.ptp(np.stack(alone), axis=0).max() > 1e-2


@pytest.mark.parametrize("family", ["T5", "Bart"])
def test_a_text_that_holds_an_end_token_scores_in_a_batch_too(family: str, tmp_path: Path) -> None:
    """The heads of encoder-decoders read at the last end token, and take batches alone whose rows have as many of them."""
    words = ["<pad>", "</s>", "<unk>", "<", "/", "s", ">", "the", "cat", "sees", "red"]
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"\w+|[^\w\s]"), "removed", invert=True)
    names = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    hf.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(tmp_path)
    halves = {"encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 4, "init_std": 0.3}
    sizes = {"d_model": 32, "d_ff": 48, "d_kv": 8, "num_layers": 2, "num_heads": 4} if family == "T5" else {"d_model": 32, **halves}
    ids = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
    torch.manual_seed(0)
    getattr(hf, f"{family}Model")(getattr(hf, f"{family}Config")(vocab_size=len(words), **ids, **sizes)).save_pretrained(tmp_path)
    task = Task("t", "classification", ("text",), "label", ("a", "b", "c"), "accuracy", ("accuracy",), Budget())
    with pytest.raises(UnavailableError, match="reads at the end token, number 1, which its tokenizer doesn't put behind a text"):
        load_model(find_backbone(str(tmp_path)), family_of(task))
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
    hf.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(tmp_path)
    loaded = load_model(find_backbone(str(tmp_path)), family_of(task))
    texts = ["the cat", "the </s> cat sees", "</s>", "red </s></s> <pad> the cat", ""]
    split = Split((texts,), np.zeros(len(texts), dtype=np.int64))
    together = predict(loaded.model, family_of(task).encode(loaded.processor, split, 32))
    alone = [predict(loaded.model, family_of(task).encode(loaded.processor, split.take([index]), 32))[0] for index in range(len(texts))]
    assert np.abs(np.stack(together) - np.stack(alone)).max() < 1e-5
    assert np.ptp(np.stack(alone), axis=0).max() > 1e-3
    loaded.processor.save_pretrained(tmp_path / "exported")  # as an export does; whoever uses it reads texts in the same way
    again = hf.AutoTokenizer.from_pretrained(tmp_path / "exported")
    assert again(texts)["input_ids"] == loaded.processor(texts)["input_ids"]
    assert {ids.count(1) for ids in again(texts)["input_ids"]} == {1}


def test_choices_score_as_each_alone_where_the_head_reads_the_last_position(backbone_folder: Path, tmp_path: Path) -> None:
    config = hf.XLNetConfig(vocab_size=24, pad_token_id=0, initializer_range=0.3, d_model=32, n_layer=2, n_head=4, d_inner=48)
    torch.manual_seed(0)
    hf.XLNetModel(config).save_pretrained(tmp_path)
    hf.AutoTokenizer.from_pretrained(backbone_folder).save_pretrained(tmp_path)
    some = {
        "question": ["the cat", "old bird"],
        "choices": [["old", "the new dog likes red"], ["sees not very quick", "red"]],
        "answer": [0, 1],
    }
    file = write(tmp_path / "own.jsonl", {name: column * 6 for name, column in some.items()})
    data = load_files(file, file, file)
    family = family_of(data.task)
    loaded = load_model(find_backbone(str(tmp_path)), family)
    encoded = family.encode(loaded.processor, data.train.take([0, 1]), 32)
    for row, (_, _, chances) in zip(encoded.rows, predict(loaded.model, encoded), strict=True):
        with torch.no_grad():
            alone = [loaded.model(**{name: torch.tensor([[ids]]) for name, ids in one.items()}).logits[0, 0] for one in row["choices"]]
        assert chances == pytest.approx(torch.stack(alone).softmax(0).tolist(), abs=1e-5)


def test_texts_without_a_token_are_trained_and_measured(kind_of_empty_texts: tuple[Path, Path]) -> None:
    """Empty texts, and none but white space, under a tokenizer that puts nothing around them."""
    file, model = kind_of_empty_texts
    data = load_files(file, file, file)
    runner = TrialRunner(RunnerSettings(find_backbone(str(model)), data.task, data.train, data.validation, threads=1))
    batch_size = 1 if data.task.kind == "token_classification" else 8  # one of which no word has a token, too
    outcome = runner.run(Assignment(0, CONFIGURATION, replace(BUDGET, epochs=1, batch_size=batch_size), 0))
    assert outcome.measurement is not None, outcome.traceback
    assert all(np.isfinite(value) for value in outcome.measurement.metrics.values())


EMPTY = {
    "classification": ("text", ["", " ", "\n"]),
    "regression": ("text", ["", " "]),
    "multi_label": ("text", ["", " "]),
    "token_classification": ("tokens", [[" ", "sees", "cat"], [" ", " ", " "]]),
    "multiple_choice": ("choices", [["", " "], ["", "cat"]]),
    "embedding": ("query", ["", " "]),
    "seq2seq": ("document", ["", " "]),
    "causal_lm": ("prompt", ["", " "]),
}


@pytest.fixture(params=EMPTY)
def kind_of_empty_texts(request: pytest.FixtureRequest, backbone_folder: Path, tmp_path: Path) -> tuple[Path, Path]:
    column, empty = EMPTY[request.param]
    file, model = write_task(request.param, tmp_path, backbone_folder)
    tokenizer = hf.AutoTokenizer.from_pretrained(model)
    tokenizer.backend_tokenizer.post_processor = None
    tokenizer.save_pretrained(model)
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    for place, value in enumerate(empty * 3):
        rows[2 * place][column] = value
        if request.param == "multiple_choice":
            rows[2 * place]["question"] = ""
    file.write_text("\n".join(map(json.dumps, rows)))
    return file, model


def test_hidden_states_are_kept_where_that_is_exact(runner: TrialRunner) -> None:
    kind = runner._settings.task.kind
    found = runner.run(Assignment(0, CONFIGURATION, replace(BUDGET, epochs=1), 0)).measurement
    assert found is not None
    reasons = {
        "multiple_choice": "an example is several sequences",
        "embedding": "an example is several sequences",
        "audio_classification": "are of different lengths",
        "speech_to_text": "are of different lengths",
        "seq2seq": "differ from pass to pass",  # BART drops out between embeddings and layers without a module of its own
    }
    assert reasons.get(kind, "") in found.not_reused
    assert bool(found.not_reused) == (kind in reasons)


@pytest.mark.parametrize("kind", ["image_classification", "audio_classification"])
def test_kept_hidden_states_of_images_and_equally_long_sounds_change_nothing(kind: str, backbone_folder: Path, tmp_path: Path) -> None:
    file, model = write_task(kind, tmp_path, backbone_folder)
    for number, sound in enumerate(sorted(tmp_path.glob("*.wav"))):
        sound.write_bytes(wav(16_000, 200 + 400 * (number % 2), 0.06))
    data = load_files(file, file, file)
    settings = RunnerSettings(find_backbone(str(model)), data.task, data.train, data.validation, threads=1)
    assignment = Assignment(0, CONFIGURATION, replace(BUDGET, epochs=2), 0, (0.5, 1.0))
    kept, computed = (TrialRunner(replace(settings, cache_bytes=size)).run(assignment).measurement for size in (2**30, 0))
    assert kept is not None
    assert computed is not None
    assert (kept.not_reused, bool(computed.not_reused)) == ("", True)
    for one, other in zip(kept.curve, computed.curve, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, rel=1e-5)
        assert dict(one.metrics) == pytest.approx(dict(other.metrics), rel=1e-5)


def test_the_scores_of_drawn_examples_are_those_of_a_split_that_holds_them(runner: TrialRunner) -> None:
    family, model, processor = family_of(runner._settings.task), runner._loaded.model, runner._loaded.processor
    split, drawn = runner._settings.validation, [3, 3, 0, 5]
    encoded, expected = (family.encode(processor, one, BUDGET.max_length) for one in (split, split.take(drawn)))
    found = family.score(*family.of_examples(predict(model, encoded), encoded, drawn))
    wanted = family.score(predict(model, expected), expected)
    names = [name for name in wanted if (family.name, name) != ("question_answering", "loss")]  # that of windows, not of questions
    assert [found[name] for name in names] == pytest.approx([wanted[name] for name in names], abs=1e-5)
    resampled = resampled_scores(predict(model, encoded), encoded)
    assert resampled.keys() == set(runner._settings.task.metrics)


def test_every_example_gets_an_answer(runner: TrialRunner) -> None:
    task = runner._settings.task
    family, few = family_of(task), runner._settings.validation.take([0, 1, 2])
    answers = family.answers(runner._loaded.model, runner._loaded.processor, few, BUDGET.max_length, predict)
    assert len(answers) == 3
    json.dumps(answers, allow_nan=False)
    for answer in answers:
        found = answer["prediction"]
        assert not task.labels or {*found} <= {*task.labels} if isinstance(found, list) else not task.labels or found in task.labels
        chances = answer.get("probabilities", {})
        assert not isinstance(chances, dict) or set(chances) in (set(), set(task.labels))
