"""One of several classes for a recording."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from autopeft.budget import Budget
from autopeft.tasks.families.media_classification import MediaClassification
from autopeft.tasks.families.recordings import USUAL_RECORDINGS, Recordings, configure_sound, decode_sound, extracted, some_noise
from autopeft.tasks.sounds import READING_RATE, sound_length

if TYPE_CHECKING:
    from autopeft.tasks.task import Split


class AudioClassification(Recordings, MediaClassification):
    """Cross-entropy over classes of recordings."""

    name: ClassVar[str] = "audio_classification"
    summary: ClassVar[str] = "one of several classes for a recording"
    columns_in_words: ClassVar[str] = "a recording (a path of a file, or its content) and a label; or a folder with a folder a class"
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
        return extracted(processor, decoded)

    def lengths(self, split: "Split") -> Any:
        """Return the recordings' samples: those of similar length stand together."""
        return np.array([sound_length(data) for data in split.inputs[0]], dtype=np.int64)

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
