"""One of several classes for a recording."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from autopeft.budget import Budget
from autopeft.tasks.families.media_classification import MediaClassification
from autopeft.tasks.media import sound

if TYPE_CHECKING:
    from autopeft.tasks.task import Split

MAX_SECONDS = 30
"""Recordings are cut after so many seconds."""
READING_RATE = 16_000


class AudioClassification(MediaClassification):
    """Cross-entropy over classes of recordings."""

    name: ClassVar[str] = "audio_classification"
    summary: ClassVar[str] = "one of several classes for a recording"
    columns_in_words: ClassVar[str] = "a recording (a path of a WAV file, or its content) and a label; or a folder with a folder a class"
    auto_model: ClassVar[str] = "AutoModelForAudioClassification"
    processor: ClassVar[str] = "AutoFeatureExtractor"
    low_cost: ClassVar[Budget] = Budget(train_examples=500, epochs=2, evaluation_examples=200, batch_size=8)
    usual_inputs: ClassVar[Sequence[str]] = ("audio", "file", "path")
    what: ClassVar[str] = "a recording"
    peft_task_type: ClassVar[str] = ""
    pipeline: ClassVar[str] = "audio-classification"

    def decode(self, data: bytes) -> Any:
        """Return samples at the rate that nearly all models read."""
        return sound(data, READING_RATE)[: MAX_SECONDS * READING_RATE]

    def prepare(self, processor: Any, decoded: Sequence[Any]) -> Any:
        """Return what the feature extractor makes of them, padded to the longest or to its own length."""
        return processor(list(decoded), sampling_rate=READING_RATE, padding=True, return_tensors="pt")

    def lengths(self, split: "Split") -> Any:
        """Return the files' sizes: recordings of similar length stand together."""
        return np.array([len(data) for data in split.inputs[0]], dtype=np.int64)

    @property
    def example(self) -> "Split":
        """Two seconds of noise."""
        from scipy.io import wavfile

        from autopeft.tasks.task import Split

        files = []
        for seed in range(2):
            file = io.BytesIO()
            samples = np.random.default_rng(seed).integers(-1000, 1000, READING_RATE, dtype=np.int16)
            wavfile.write(file, READING_RATE, samples)
            files.append(file.getvalue())
        return Split((files,), np.array([0, 1]))

    def usage(self, max_length: int) -> str:
        """Return the class of samples."""
        return (
            f"samples = [0.0] * {READING_RATE}  # one second, at {READING_RATE} samples a second\n"
            f'inputs = tokenizer(samples, sampling_rate={READING_RATE}, return_tensors="pt")\n'
            f"with torch.no_grad():\n    logits = model(**inputs).logits\nprint({self.answer_code})"
        )
