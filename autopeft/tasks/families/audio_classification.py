"""One of several classes for a recording."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from autopeft.budget import Budget
from autopeft.tasks.families.media_classification import MediaClassification
from autopeft.tasks.media import READING_RATE, sound, sound_length

if TYPE_CHECKING:
    from autopeft.tasks.task import Split

MAX_SECONDS = 30
"""Recordings are cut after so many seconds."""
USUAL_RECORDINGS = ("audio", "file", "path")
"""Names of a column with recordings."""


class AudioClassification(MediaClassification):
    """Cross-entropy over classes of recordings."""

    name: ClassVar[str] = "audio_classification"
    summary: ClassVar[str] = "one of several classes for a recording"
    columns_in_words: ClassVar[str] = "a recording (a path of a WAV file, or its content) and a label; or a folder with a folder a class"
    auto_model: ClassVar[str] = "AutoModelForAudioClassification"
    processor: ClassVar[str] = "AutoFeatureExtractor"
    low_cost: ClassVar[Budget] = Budget(train_examples=500, epochs=2, evaluation_examples=200, batch_size=8)
    usual_inputs: ClassVar[Sequence[str]] = USUAL_RECORDINGS
    what: ClassVar[str] = "a recording"
    peft_task_type: ClassVar[str] = ""
    pipeline: ClassVar[str] = "audio-classification"

    def decode(self, data: bytes) -> Any:
        """Return samples."""
        return decode_sound(data)

    def prepare(self, processor: Any, decoded: Sequence[Any]) -> Any:
        """Return what the feature extractor makes of them, padded to the longest or to its own length."""
        return processor(list(decoded), sampling_rate=READING_RATE, padding=True, return_tensors="pt")

    def lengths(self, split: "Split") -> Any:
        """Return the recordings' samples: those of similar length stand together."""
        return np.array([n_samples(data) for data in split.inputs[0]], dtype=np.int64)

    def configure(self, config: Any) -> None:
        """Set the number of outputs, and leave out what draws at random beside torch."""
        super().configure(config)
        configure_sound(config)

    @property
    def example(self) -> "Split":
        """Two seconds of noise."""
        from autopeft.tasks.task import Split

        return Split((some_noise(),), np.array([0, 1]))

    def usage(self, max_length: int) -> str:
        """Return the class of samples."""
        return (
            f"samples = [0.0] * {READING_RATE}  # one second, at {READING_RATE} samples a second\n"
            f'inputs = tokenizer(samples, sampling_rate={READING_RATE}, return_tensors="pt")\n'
            f"with torch.no_grad():\n    logits = model(**inputs).logits\nprint({self.answer_code})"
        )


def decode_sound(data: bytes) -> Any:
    """Return a recording's samples, at the rate that nearly all models read; it is cut after `MAX_SECONDS`."""
    return sound(data)[: MAX_SECONDS * READING_RATE]


def n_samples(data: bytes) -> int:
    """Return how many samples `decode_sound` returns."""
    return min(sound_length(data), MAX_SECONDS * READING_RATE)


def configure_sound(config: Any) -> None:
    """Switch off the parts of a model of sounds that are random in training.

    SpecAugment's masks come from numpy's global generator, so that a trial could neither be repeated nor paused, and recordings shorter
    than a mask are refused; dropped layers would leave out modules.
    """
    for name, value in {"apply_spec_augment": False, "layerdrop": 0.0}.items():
        if hasattr(config, name):
            setattr(config, name, value)


def some_noise() -> list[bytes]:
    """Return two WAV files of one second."""
    from scipy.io import wavfile

    files = []
    for seed in range(2):
        file = io.BytesIO()
        wavfile.write(file, READING_RATE, np.random.default_rng(seed).integers(-1000, 1000, READING_RATE, dtype=np.int16))
        files.append(file.getvalue())
    return files
