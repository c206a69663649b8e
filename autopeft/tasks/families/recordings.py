"""What all kinds of task that listen have in common: recordings as samples, their lengths, and what extractors make of them."""

import inspect
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from autopeft.errors import InvalidInputError
from autopeft.tasks.columns import filled_texts
from autopeft.tasks.encoded import Encoded
from autopeft.tasks.family import Columns, Family
from autopeft.tasks.media import readable_contents
from autopeft.tasks.sounds import READING_RATE, sound, sound_length

if TYPE_CHECKING:
    from autopeft.tasks.table import Table
    from autopeft.tasks.task import Split, Task

MAX_SECONDS = 30
"""Recordings are cut after so many seconds."""
USUAL_RECORDINGS = ("audio", "file", "path")
"""Names of a column with recordings."""


TRANSCRIPTS = ("text", "transcript", "transcription", "sentence", "normalized_text")
"""Names of a column with what is said."""


class Recordings(Family):
    """A row is a recording, and its positions are samples."""

    length_unit: ClassVar[tuple[str, float]] = ("seconds", READING_RATE)
    needs_processor: ClassVar[bool] = False

    def longest(self, max_length: int) -> int:
        """Return the samples after which a recording is cut, whatever `max_length` says of texts."""
        return MAX_SECONDS * READING_RATE

    def by_size(self, encoded: Encoded) -> Sequence[int]:
        """Return the rows from the shortest to the longest."""
        return np.argsort(encoded.lengths, kind="stable").tolist()  # type: ignore[no-any-return]

    def row_in_words(self, encoded: Encoded, row: int) -> str:
        """Return how long it is."""
        return in_milliseconds(int(encoded.lengths[row]))

    def fitting(self, config: Any) -> str:
        """Say that length may be what is wrong."""
        return "Give longer recordings, or take another model."

    def inputs_in_words(self, inputs: Mapping[str, Any]) -> str:
        """Say what the model was given."""
        return "a second of noise"


class Transcribed(Recordings):
    """What is said in a recording is learnt."""

    columns_in_words: ClassVar[str] = "a recording (a path of a file, or its content) and its transcript, such as audio and text"

    @classmethod
    def find_columns(cls, table: "Table", given: Columns) -> Columns | None:
        """Take usual names."""
        inputs = given.inputs or tuple(name for name in USUAL_RECORDINGS if name in table.columns)[:1]
        target = given.target or next((name for name in TRANSCRIPTS if name in table.columns), None)
        return Columns(inputs, target) if inputs and target else None

    @classmethod
    def check(cls, task: "Task") -> None:
        """Check that one column of recordings is read."""
        super().check(task)
        if len(task.input_columns) != 1 or task.labels:
            raise InvalidInputError("recordings are read from one column", value=task.input_columns)

    def read(self, table: "Table", ids: Mapping[str, int]) -> "Split":
        """Return recordings, each of which can be decoded, and transcripts."""
        from autopeft.tasks.task import Split

        transcripts = [text.strip() for text in filled_texts(table, self.task.target_column)]
        return Split((readable_contents(table, self.task.input_columns[0], "a recording", decode_sound),), transcripts)

    def require_trainable(self, split: "Split", source: str) -> None:
        """Check that the transcripts differ."""
        if len(set(split.targets)) < 2:
            raise InvalidInputError(f"{source}: the training transcripts must differ", value=split.targets[0])

    def summarise(self, split: "Split") -> str:
        """Say how much is said."""
        seconds = sum(n_samples(data) for data in split.inputs[0]) / READING_RATE
        return f"{len(split):,} training examples of {seconds / 60:.1f} minutes together"


def in_milliseconds(n: int) -> str:
    """Return samples in words."""
    return f"{1000 * n / READING_RATE:,.4g} ms"


def decode_sound(data: bytes) -> Any:
    """Return a recording's samples, at the rate that nearly all models read; it is cut after `MAX_SECONDS`."""
    return sound(data)[: MAX_SECONDS * READING_RATE]


def n_samples(data: bytes) -> int:
    """Return how many samples `decode_sound` returns."""
    return min(sound_length(data), MAX_SECONDS * READING_RATE)


def extracted(processor: Any, samples: Sequence[Any]) -> Any:
    """Return what a feature extractor makes of recordings, padded to the longest, or to the one length that its model reads."""
    usual = inspect.signature(processor.__call__).parameters.get("padding")
    padding = {} if usual is not None and usual.default == "max_length" else {"padding": True}  # Whisper's are of 30 seconds
    return processor(list(samples), sampling_rate=READING_RATE, return_tensors="pt", **padding)


def configure_sound(config: Any) -> None:
    """Switch off the parts of a model of sounds that are random in training.

    SpecAugment's masks come from numpy's global generator, so that a trial could neither be repeated nor paused, and recordings shorter
    than a mask are refused; dropped layers would leave out modules.
    """
    dropped = dict.fromkeys(("layerdrop", "encoder_layerdrop", "decoder_layerdrop"), 0.0)
    for name, value in {"apply_spec_augment": False, **dropped}.items():
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
