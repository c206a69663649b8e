"""What a model can't read is refused before anything is trained: one error with how many, how small, and what to do."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf

from autopeft.budget import Budget
from autopeft.configuration import Configuration, PeftModule
from autopeft.errors import InvalidInputError
from autopeft.export.predictor import Predictor
from autopeft.tasks import load_files
from autopeft.training.backbone import find_backbone
from autopeft.training.measurement import Assignment, RunnerSettings
from autopeft.training.runner import TrialRunner
from tests.tasks.media import png, samples, saved, wav
from tests.tasks.small import COLUMNS, SIZE, N, model_of, write

BUDGET = Budget(epochs=1, batch_size=8)
CONFIGURATION = Configuration((PeftModule("lora", 2, (0,)),), {"learning_rate": 1e-2})
WHISPER = {
    "d_model": 32, "encoder_layers": 2, "decoder_layers": 1, "encoder_attention_heads": 4, "decoder_attention_heads": 4, "vocab_size": 20,
    "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "num_mel_bins": 16, "max_source_positions": 50, "pad_token_id": 0, "bos_token_id": 1,
    "eos_token_id": 2, "decoder_start_token_id": 1,
}  # fmt: skip


def settings_of(kind: str, model: Any, processor: Any, files: Sequence[bytes], folder: Path, **columns: Sequence[Any]) -> RunnerSettings:
    """Write a model and as many files as examples, of which those that are given are repeated."""
    model.save_pretrained(folder / "model")
    processor.save_pretrained(folder / "model")
    suffix = "png" if kind == "image_classification" else "wav"
    for number in range(N):
        (folder / f"{number}.{suffix}").write_bytes(files[number % len(files)])
    data = load_files(*[write(folder / "own.jsonl", {**COLUMNS[kind], **columns})] * 3)
    return RunnerSettings(find_backbone(str(folder / "model")), data.task, data.train, data.validation, threads=1, budget=BUDGET)


def listening(kind: str, seconds: Sequence[float], folder: Path, **columns: Sequence[Any]) -> RunnerSettings:
    files = [wav(16_000, 300.0, duration) for duration in seconds]
    return settings_of(kind, model_of(kind), hf.Wav2Vec2FeatureExtractor(), files, folder, **columns)


@pytest.mark.parametrize("kind", ["audio_classification", "speech_to_text"])
def test_recordings_shorter_than_a_frame(kind: str, tmp_path: Path) -> None:
    seconds = [0.001, 0.002, 0.05, 0.06, 0.07, 0.08]
    with pytest.raises(
        InvalidInputError,
        match=rf"can't read {N // 3} of {N} training examples, which are too short: .* .got '1 ms to 2 ms'.*one of 50 ms can be read",
    ):
        TrialRunner(listening(kind, seconds, tmp_path))


def test_all_recordings_shorter_than_a_frame(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=rf"can't read any of {N} training examples: .* .got '1 ms'.*Give longer recordings"):
        TrialRunner(listening("audio_classification", [0.001], tmp_path))


def test_what_extractors_refuse_is_refused(tmp_path: Path) -> None:
    model = hf.ASTModel(hf.ASTConfig(**SIZE, max_length=64, num_mel_bins=32, patch_size=8, time_stride=8, frequency_stride=8))
    extractor = hf.ASTFeatureExtractor(max_length=64, num_mel_bins=32)
    files = [wav(16_000, 300.0, seconds) for seconds in (0.002, 0.1)]
    with pytest.raises(InvalidInputError, match=rf"can't read {N // 2} of {N} training examples, which are too short: .*one of 100 ms"):
        TrialRunner(settings_of("audio_classification", model, extractor, files, tmp_path))


def test_test_recordings_and_new_ones_are_looked_at_before_training_and_answering(tmp_path: Path) -> None:
    settings = listening("audio_classification", [0.05, 0.06], tmp_path)
    short = replace(settings.validation, inputs=([samples(np.ones(16, dtype=np.int16), 16_000)] * N,))
    with pytest.raises(InvalidInputError, match=rf"can't read any of {N} test examples"):
        TrialRunner(replace(settings, test=short))
    runner = TrialRunner(replace(settings, budget=None, test=short))  # as retraining has it
    outcome = runner.run(Assignment(0, CONFIGURATION, BUDGET, 0))
    assert "can't read any of" in outcome.error
    (tmp_path / "short.wav").write_bytes(samples(np.ones(16, dtype=np.int16), 16_000))
    with pytest.raises(InvalidInputError, match=r"can't read any of 1 given examples"):
        Predictor(runner._loaded.model, runner._loaded.processor, settings.task, 128).predict([str(tmp_path / "short.wav")])


def test_whisper_hears_as_much_as_it_needs_and_as_exactly_in_training(tmp_path: Path) -> None:
    model, extractor = hf.WhisperModel(hf.WhisperConfig(**WHISPER)), hf.WhisperFeatureExtractor(feature_size=16, chunk_length=1)
    files = [wav(16_000, pitch, 0.05) for pitch in (200.0, 600.0)]
    runner = TrialRunner(settings_of("audio_classification", model, extractor, files, tmp_path))
    with torch.autocast("cpu", torch.bfloat16):
        (features,) = runner.examples.of(BUDGET)[0].batch([0]).inputs.values()
    assert (features.shape[2], features.dtype) == (100, torch.float32)
    outcome = runner.run(Assignment(0, CONFIGURATION, BUDGET, 0))
    assert outcome.measurement is not None, outcome.traceback


def seeing(size: int, files: Sequence[bytes], folder: Path, model: Any = None, **processor: Any) -> RunnerSettings:
    model = model or hf.ViTModel(hf.ViTConfig(**SIZE, image_size=16, patch_size=4))
    extractor = hf.ViTImageProcessorPil(size={"height": size, "width": size}, **processor)
    return settings_of("image_classification", model, extractor, files, folder)


def test_images_smaller_than_a_window(tmp_path: Path) -> None:
    config = hf.SwinConfig(image_size=16, window_size=7, embed_dim=16, depths=[1, 1], num_heads=[2, 2], patch_size=4)
    with pytest.raises(
        InvalidInputError,
        match=r"can't read images of 16 x 16 pixels in 3 channels, which its preprocessor makes: .*patch_size 4, window_size 7",
    ):
        TrialRunner(seeing(16, [png(0, 100)], tmp_path, hf.SwinModel(config)))


@pytest.mark.parametrize("patch", [4, 32])
def test_images_of_another_size_than_the_model_s(patch: int, tmp_path: Path) -> None:
    model = hf.ViTModel(hf.ViTConfig(**SIZE, image_size=16, patch_size=patch))
    with pytest.raises(InvalidInputError, match=rf"can't read images of .* Set a size in preprocessor_config\.json .*patch_size {patch}"):
        TrialRunner(seeing(16 if patch == 32 else 8, [png(0, 100)], tmp_path, model))


def test_images_that_are_not_resized(tmp_path: Path) -> None:
    from PIL import Image

    fitting, wide = saved(Image.new("RGB", (16, 16))), saved(Image.new("RGB", (20, 16)))
    TrialRunner(seeing(16, [fitting], tmp_path, do_resize=False))
    with pytest.raises(InvalidInputError, match=rf"can't read any of {N} training examples: .*got '20 x 16 pixels'"):
        TrialRunner(seeing(16, [wide], tmp_path, do_resize=False))
    with pytest.raises(InvalidInputError, match=r"images must be of one size .*got '16 x 16 pixels and 20 x 16 pixels'.*do_resize"):
        TrialRunner(seeing(16, [fitting, wide], tmp_path, do_resize=False))


def test_transcripts_of_more_characters_than_frames(tmp_path: Path) -> None:
    seconds = [0.05, 0.06]  # ten and twelve frames of 5 ms
    facts = TrialRunner(listening("speech_to_text", seconds, tmp_path, text=["a b", "aaaaaa", "abcdef a b c", "abc"] * (N // 4))).describe()
    assert facts.notes == tuple(
        f"warning: {N // 4} of {N} {role} recordings are too short for their transcripts and nothing is learnt from them: "
        "CTC needs a frame for each character, and one between two of the same"
        for role in ("training", "validation")
    )
    with pytest.raises(InvalidInputError, match=rf"all {N} training recordings are too short .*got '10 frames for 40"):
        TrialRunner(listening("speech_to_text", seconds, tmp_path, text=["ab" * 20, "ba" * 20] * (N // 2))).describe()
