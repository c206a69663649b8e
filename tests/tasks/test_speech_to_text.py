"""Speech: characters, greedy reading, error rates, and the loss against transformers' own."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf

from autopeft.errors import InvalidInputError
from autopeft.tasks import family_of, load_files
from autopeft.tasks.families.audio_classification import configure_sound
from autopeft.tasks.sounds import sound, sound_length
from autopeft.tasks.transcripts import character_error_rate, characters_of, classes_of, collapsed, word_error_rate
from tests.tasks.helpers import write
from tests.tasks.media import wav
from tests.tasks.small import model_of

TEXTS = ["ab a", "b", "a bb ab", "ba"] * 4


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    for index in range(len(TEXTS)):
        (tmp_path / f"{index}.wav").write_bytes(wav(8000, 200 + 50 * index, 0.08 + 0.02 * (index % 4)))
    return write(tmp_path / "own.csv", {"path": [f"{index}.wav" for index in range(len(TEXTS))], "sentence": TEXTS})


def test_characters_are_classes_behind_the_blank() -> None:
    assert characters_of(["ba", "b a"]) == " ab"
    assert classes_of("b ax", " ab") == [3, 1, 2]
    assert collapsed([0, 3, 3, 0, 3, 1, 2, 2, 0], " ab") == "bb a"


@cache
def distance(one: str, other: str) -> int:
    """As it is defined, by recursion."""
    if not one or not other:
        return len(one) + len(other)
    return min(distance(one[1:], other) + 1, distance(one, other[1:]) + 1, distance(one[1:], other[1:]) + (one[0] != other[0]))


def test_error_rates_add_up_distances() -> None:
    rng = np.random.default_rng(0)
    pairs = [
        ("".join(rng.choice(list("abc"), rng.integers(1, 9))), "".join(rng.choice(list("abc"), rng.integers(1, 9)))) for _ in range(40)
    ]
    written, references = zip(*pairs, strict=True)
    assert character_error_rate(written, references) == sum(distance(*pair) for pair in pairs) / sum(map(len, references))
    assert word_error_rate(["a b c", ""], ["a c", "d"]) == 2 / 3
    assert word_error_rate(["a b c d"], ["x"]) == 4.0


def test_the_loss_is_transformers_own_over_characters(recordings: Path) -> None:
    data = load_files(recordings)
    assert (data.task.kind, data.task.metric, data.task.settings) == ("speech_to_text", "loss", {"characters": " ab"})
    family = family_of(data.task)
    torch.manual_seed(0)
    config = model_of("speech_to_text").config
    family.configure(config)
    config.ctc_loss_reduction, config.ctc_zero_infinity, config.feat_extract_norm = "sum", True, "layer"
    model: Any = hf.Wav2Vec2ForCTC(config).eval()
    encoded = family.encode(hf.Wav2Vec2FeatureExtractor(return_attention_mask=True), data.train, 1)
    batch = encoded.batch(range(len(encoded)))
    with torch.no_grad():
        outputs = family.forward(model, batch)
        labels = batch.targets[:, 2:].masked_fill(batch.targets[:, 2:] == 0, -100)
        wanted = model(**batch.inputs, labels=labels).loss
    found = family.reduce(outputs, batch)
    assert float(family.loss(outputs, batch)) == pytest.approx(float(wanted), rel=1e-5)
    scores = family.score(found, encoded)
    assert scores["loss"] == pytest.approx(float(wanted) / sum(map(len, data.train.targets)), rel=1e-5)
    assert scores.keys() == {"loss", "word_error_rate", "character_error_rate"}
    for index, (_, text) in enumerate(found):  # one recording at a time, without padding
        alone = family.forward(model, encoded.batch([index])).logits[0].argmax(dim=-1)
        assert text == collapsed(alone.tolist(), " ab").strip()


def test_what_is_random_beside_torch_is_off() -> None:
    config = hf.Wav2Vec2Config()
    assert (config.apply_spec_augment, config.layerdrop) == (True, 0.1)
    configure_sound(config)
    assert (config.apply_spec_augment, config.layerdrop) == (False, 0.0)


@pytest.mark.parametrize("rate", [8000, 11025, 16_000, 44_100])
def test_the_length_of_a_sound_is_known_without_resampling_it(rate: int) -> None:
    data = wav(rate, 300.0, 0.1234)
    assert sound_length(data) == len(sound(data))


def test_an_empty_transcript_is_refused(recordings: Path) -> None:
    write(recordings, {"path": ["0.wav", "1.wav"], "sentence": ["a", "  "]})
    with pytest.raises(InvalidInputError, match=r"own.csv, line 3: the column 'sentence' must not be empty"):
        load_files(recordings)
