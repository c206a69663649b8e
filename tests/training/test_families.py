"""Every kind of task through a runner: it learns, it pauses to the last bit, and a saved adapter gives the metrics that were measured."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from transformers import AutoTokenizer, PreTrainedModel

from autopeft.budget import Budget
from autopeft.configuration import Configuration, PeftModule
from autopeft.methods.checkpoint import unpack
from autopeft.tasks import family_names, family_of, load_files
from autopeft.training.backbone import find_backbone
from autopeft.training.evaluate import evaluate
from autopeft.training.measurement import Assignment, Outcome, RunnerSettings
from autopeft.training.runner import TrialRunner
from tests.conftest import WORDS
from tests.tasks.helpers import write
from tests.tasks.test_other_families import png, wav

N = 24
SIZE = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48}
HALF = {"layers": 2, "attention_heads": 4, "ffn_dim": 48}
BUDGET = Budget(epochs=5, batch_size=8, max_length=32)
CONFIGURATION = Configuration((PeftModule("lora", 4, (1, 2)), PeftModule("parallel_adapter", 4, (2,))), {"learning_rate": 1e-2})


def word(index: int) -> str:
    return WORDS[index % len(WORDS)]


COLUMNS: dict[str, dict[str, list[Any]]] = {
    "classification": {"text": [f"the {word(i)} sees" for i in range(N)], "label": ["yes", "no"] * (N // 2)},
    "regression": {"text": [f"the {word(i)} sees" for i in range(N)], "score": [0.5 + i % len(WORDS) for i in range(N)]},
    "multi_label": {"text": [f"{word(i)} {word(3 * i)}" for i in range(N)], "labels": [["red"], ["red", "blue"]] * (N // 2)},
    "token_classification": {"tokens": [[word(i), "sees", word(i + 1)] for i in range(N)], "tags": [["B-x", "O", "I-x"]] * N},
    "question_answering": {
        "question": ["the old cat"] * N,
        "context": [f"{word(i)} and {word(i + 1)} not" for i in range(N)],
        "answer": [word(i + 1) for i in range(N)],
    },
    "multiple_choice": {"question": [word(i) for i in range(N)], "choices": [["red cat", "blue"]] * N, "label": [0, 1] * (N // 2)},
    "embedding": {"query": [f"the {word(i)}" for i in range(N)], "positive": [f"{word(i)} {word(i + 5)} old" for i in range(N)]},
    "image_classification": {"image": [f"{i}.png" for i in range(N)], "label": ["dark", "light"] * (N // 2)},
    "audio_classification": {"audio": [f"{i}.wav" for i in range(N)], "label": ["low", "high"] * (N // 2)},
    "seq2seq": {"document": [f"the {word(i)} sees" for i in range(N)], "summary": [f"{word(i)} red" for i in range(N)]},
    "causal_lm": {"prompt": [f"the {word(i)}" for i in range(N)], "completion": [f" sees {word(i + 1)} red" for i in range(N)]},
}


def model_of(kind: str) -> PreTrainedModel:
    """Return a tiny random backbone."""
    tokens = {"vocab_size": 24, "pad_token_id": 0}
    match kind:
        case "causal_lm":
            return hf.LlamaForCausalLM(hf.LlamaConfig(**SIZE, **tokens, num_key_value_heads=2))
        case "seq2seq":
            halves = {f"{half}_{name}": value for half in ("encoder", "decoder") for name, value in HALF.items()}
            ids = {"bos_token_id": 2, "eos_token_id": 3, "decoder_start_token_id": 3, "forced_eos_token_id": None}
            config = hf.BartConfig(**tokens, **halves, **ids, d_model=32, max_position_embeddings=64)
            return hf.BartForConditionalGeneration(config)
        case "image_classification":
            return hf.ViTModel(hf.ViTConfig(**SIZE, image_size=16, patch_size=4))
        case "audio_classification":
            config = hf.Wav2Vec2Config(
                **SIZE, vocab_size=20, conv_dim=(16, 16), conv_stride=(10, 8), conv_kernel=(10, 8), num_feat_extract_layers=2,
                num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2, classifier_proj_size=16, mask_time_prob=0.0, layerdrop=0.0,
            )  # fmt: skip
            return hf.Wav2Vec2Model(config)
    return hf.BertModel(hf.BertConfig(**SIZE, **tokens, max_position_embeddings=64))


@pytest.fixture(scope="module", params=family_names())
def runner(request: pytest.FixtureRequest, backbone_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> TrialRunner:
    kind, folder = request.param, tmp_path_factory.mktemp(request.param)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model_of(kind).save_pretrained(folder / "model")
    if kind == "image_classification":
        hf.ViTImageProcessorPil(size={"height": 16, "width": 16}).save_pretrained(folder / "model")
    elif kind == "audio_classification":
        hf.Wav2Vec2FeatureExtractor().save_pretrained(folder / "model")
    else:
        AutoTokenizer.from_pretrained(backbone_folder, eos_token="[SEP]").save_pretrained(folder / "model")
    for index in range(N):
        if kind == "image_classification":
            (folder / f"{index}.png").write_bytes(png(index, 200 * (index % 2)))
        elif kind == "audio_classification":
            (folder / f"{index}.wav").write_bytes(wav(16_000, 200 + 400 * (index % 2), 0.05 + 0.01 * (index % 3)))
    file = write(folder / "own.jsonl", COLUMNS[kind])
    data = load_files(file, file, file, with_test=True)
    assert data.task.kind == kind
    settings = RunnerSettings(find_backbone(str(folder / "model")), data.task, data.train, data.validation, threads=1)
    return TrialRunner(settings)


def test_a_trial_learns_pauses_and_is_saved(runner: TrialRunner) -> None:
    assignment = Assignment(0, CONFIGURATION, BUDGET, 0, (0.2, 1.0))
    whole = runner.run(assignment)
    assert whole.measurement is not None, whole.traceback
    found = whole.measurement
    assert found.metrics.keys() == set(runner._settings.task.metrics)
    assert found.curve[1].train_loss < found.curve[0].train_loss
    paused: Outcome = runner.run(replace(assignment, measure_at=(0.2,)))
    later = runner.run(replace(assignment, measure_at=(1.0,), paused=paused))
    assert later.measurement is not None, later.traceback
    assert later.measurement.curve == found.curve
    family = family_of(runner._settings.task)
    applied = unpack(runner._loaded.model, whole.adapter, topology=runner._topology)
    try:
        validation = family.encode(runner._loaded.processor, runner._settings.validation, BUDGET.max_length)
        assert evaluate(runner._loaded.model, validation) == dict(found.metrics)
    finally:
        applied.eject()


def test_hidden_states_are_kept_where_that_is_exact(runner: TrialRunner) -> None:
    kind = runner._settings.task.kind
    found = runner.run(Assignment(0, CONFIGURATION, replace(BUDGET, epochs=1), 0)).measurement
    assert found is not None
    reasons = {
        "multiple_choice": "an example is several sequences",
        "embedding": "an example is several sequences",
        "image_classification": "not one row a token",
        "audio_classification": "not one row a token",
        "seq2seq": "differ from pass to pass",  # BART drops out between embeddings and layers without a module of its own
    }
    assert reasons.get(kind, "") in found.not_reused
    assert bool(found.not_reused) == (kind in reasons)
