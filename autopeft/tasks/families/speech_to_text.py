"""What a recording says, character by character (CTC; Graves et al. 2006, doi 10.1145/1143844.1143891).

| symbol | meaning |
|---|---|
| y | the characters of a transcript |
| p | probabilities of the characters and the blank at each frame; a frame is what the model makes of some milliseconds |

loss = - sum over recordings of log p(y) / number of characters, where p(y) adds up every way to write y with blanks and repeats in so many
frames; recordings too short for any add nothing. Texts are read off greedily: the likeliest class of each frame, repeats and blanks left
out. The characters are those of the training transcripts, as they are spelled there; the output layer is drawn anew for them.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from autopeft.budget import Budget
from autopeft.errors import InvalidInputError
from autopeft.tasks.columns import texts
from autopeft.tasks.details import Detail, of_texts
from autopeft.tasks.encoded import Batch, Encoded
from autopeft.tasks.families.recordings import (
    TRANSCRIPTS,
    USUAL_RECORDINGS,
    Transcribed,
    configure_sound,
    decode_sound,
    extracted,
    in_milliseconds,
    n_samples,
    some_noise,
)
from autopeft.tasks.family import Columns, require_rows
from autopeft.tasks.media import is_called
from autopeft.tasks.metric import LOSS, Metric
from autopeft.tasks.sounds import READING_RATE, sound_length
from autopeft.tasks.transcripts import (
    BLANK,
    CER,
    WER,
    character_error_rate,
    characters_of,
    classes_of,
    collapsed,
    fewest_frames,
    word_error_rate,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

    from autopeft.tasks.table import Table
    from autopeft.tasks.task import Split, Task

MAX_CHARACTERS = 10_000
_CHARACTERS = "characters"


class SpeechToText(Transcribed):
    """Connectionist temporal classification over characters."""

    name: ClassVar[str] = "speech_to_text"
    settings_form: ClassVar[Any] = {_CHARACTERS: str}
    summary: ClassVar[str] = "what a recording says, character by character (CTC)"
    auto_model: ClassVar[str] = "AutoModelForCTC"
    for_other_models: ClassVar[str] = "speech_seq2seq"
    processor: ClassVar[str] = "AutoFeatureExtractor"
    low_cost: ClassVar[Budget] = Budget(train_examples=500, epochs=4, evaluation_examples=200, batch_size=8)
    peft_task_type: ClassVar[str] = ""
    pipeline: ClassVar[str] = "automatic-speech-recognition"

    @classmethod
    def claims(cls, table: "Table", columns: Columns) -> bool:
        """A recording and a transcript of usual names say so."""
        return is_called(table, columns.inputs[0], USUAL_RECORDINGS) and columns.target in TRANSCRIPTS

    @classmethod
    def make_task(cls, table: "Table", name: str, columns: Columns) -> "Task":
        """Take the characters from the training transcripts."""
        from autopeft.tasks.task import Task

        assert columns.target is not None
        characters = characters_of([text.strip() for text in texts(table, columns.target)])
        if not 1 <= len(characters) <= MAX_CHARACTERS:
            rule = f"{table.source}: the transcripts in column {columns.target!r} must hold 1 to {MAX_CHARACTERS:,} different characters"
            raise InvalidInputError(rule, value=len(characters))
        metrics = (LOSS.name, WER.name, CER.name)
        return Task(name, cls.name, columns.inputs, columns.target, (), LOSS.name, metrics, cls.low_cost, {_CHARACTERS: characters})

    @classmethod
    def metrics_of(cls, labels: Sequence[str]) -> tuple[Metric, ...]:
        """Return the metrics."""
        return (LOSS, WER, CER)

    @classmethod
    def check(cls, task: "Task") -> None:
        """Check columns and characters."""
        super().check(task)
        if not task.settings.get(_CHARACTERS):
            raise InvalidInputError(f"a task of transcripts says its {_CHARACTERS} in its settings", value=dict(task.settings))

    @property
    def characters(self) -> str:
        """The characters that are distinguished; the k-th is class k + 1."""
        return str(self.task.settings[_CHARACTERS])

    def summarise(self, split: "Split") -> str:
        """Say how much is said, in how many characters."""
        return f"{super().summarise(split)}, in {len(self.characters)} different characters"

    def encode(self, processor: Any, split: "Split", max_length: int, *, training: bool = False) -> Encoded:
        """Return a row a recording, not decoded yet, with the classes of its characters."""
        rows = [
            {"data": data, "classes": classes_of(text, self.characters), "samples": n_samples(data)}
            for data, text in zip(split.inputs[0], split.targets, strict=True)
        ]
        weights = np.array([max(1, len(row["classes"])) for row in rows], dtype=np.int64)
        whole = np.array([sound_length(data) for data in split.inputs[0]], dtype=np.int64)
        lengths = np.array([row["samples"] for row in rows], dtype=np.int64)
        return Encoded(self, processor, rows, list(split.targets), lengths, weights, whole)

    def notes_on(self, model: "nn.Module", encoded: Encoded, role: str) -> list[str]:
        """Say how many recordings have too few frames for what is said in them: they are no examples.

        Raises:
            InvalidInputError: All have.
        """
        frames = self._frames_of(model, encoded)
        needed = [fewest_frames(row["classes"]) for row in encoded.rows]
        n = sum(has < needs for has, needs in zip(frames, needed, strict=True))
        rule = "CTC needs a frame for each character, and one between two of the same"
        if n == len(encoded):
            raise InvalidInputError(
                f"all {n:,} {role} recordings are too short for their transcripts: {rule}",
                value=f"{frames[0]:,} frames for {needed[0]:,} in {in_milliseconds(int(encoded.lengths[0]))}",
                remedy="Are these the right transcripts? Else take a model with shorter frames.",
            )
        what = "are too short for their transcripts and nothing is learnt from them" if n > 1 else "is too short for its transcript"
        return [f"warning: {n:,} of {len(encoded):,} {role} recordings {what}: {rule}"] if n else []

    def _frames_of(self, model: "nn.Module", encoded: Encoded) -> list[int]:
        """Return how many frames a model makes of each row."""
        import torch

        config: Any = model.config
        lengths = [int(n) for n in encoded.lengths]
        if getattr(config, "conv_kernel", None):
            return [_after(n, config.conv_kernel, config.conv_stride) for n in lengths]
        longest = int(encoded.lengths.argmax())
        with torch.no_grad():
            batch = encoded.batch([longest]).to(next(model.parameters()).device)
            n_frames = model(**batch.inputs).logits.shape[1]
        return [math.ceil(n_frames * n / lengths[longest]) for n in lengths]

    def collate(self, encoded: Encoded, indices: Sequence[int]) -> Batch:
        """Return what the feature extractor makes of some recordings.

        Targets are rows x (2 + characters of the longest transcript): samples of the recording, number of classes, the classes, blanks.
        """
        import torch

        rows = [encoded.rows[index] for index in indices]
        samples = [decode_sound(row["data"]) for row in rows]
        inputs = extracted(encoded.processor, samples)
        longest = max(len(row["classes"]) for row in rows)
        lines = [[row["samples"], len(row["classes"]), *row["classes"], *[BLANK] * (longest - len(row["classes"]))] for row in rows]
        return Batch(dict(inputs), torch.tensor(lines))

    def forward(self, model: "nn.Module", batch: Batch) -> Any:
        """Return the outputs, with how many frames of each row are of its recording and not of padding."""
        import torch

        outputs = model(**batch.inputs)
        samples, n_frames = batch.targets[:, 0], outputs.logits.shape[1]
        config: Any = model.config
        if getattr(config, "conv_kernel", None):
            lengths = [_after(int(n), config.conv_kernel, config.conv_stride) for n in samples]
        else:
            lengths = [math.ceil(n_frames * int(n) / int(samples.max())) for n in samples]
        outputs["frames"] = torch.tensor([min(max(1, length), n_frames) for length in lengths], device=outputs.logits.device)
        return outputs

    def loss(self, outputs: Any, batch: Batch) -> "Tensor":
        """Return the sum of the recordings' negative log-likelihoods."""
        return _losses(outputs, batch).sum()

    def reduce(self, outputs: Any, batch: Batch) -> list[Any]:
        """Return for each row its loss, and the text of the likeliest class of each frame."""
        losses, best = _losses(outputs, batch).double().cpu().tolist(), outputs.logits.argmax(dim=2).cpu().tolist()
        lines = zip(losses, best, outputs["frames"].tolist(), strict=True)
        return [(loss, collapsed(classes[:n], self.characters).strip()) for loss, classes, n in lines]

    def score(self, predictions: Sequence[Any], encoded: Encoded) -> dict[str, float]:
        """Return loss and error rates."""
        require_rows(predictions, len(encoded))
        loss = float(np.sum([one for one, _ in predictions]) / encoded.weights.sum())
        if not np.isfinite(loss):
            return dict.fromkeys(self.task.metrics, float("nan"))
        written, references = [text for _, text in predictions], list(encoded.references)
        rates = {WER.name: word_error_rate(written, references), CER.name: character_error_rate(written, references)}
        return {name: rates.get(name, loss) for name in self.task.metrics}

    def details(self, predictions: Sequence[Any], encoded: Encoded) -> list[Detail]:
        """Return some transcripts beside their references."""
        rows = [
            (reference, text, round(word_error_rate([text], [reference]), 4))
            for (_, text), reference in zip(predictions, encoded.references, strict=True)
        ]
        return [of_texts("Transcripts", ("right", "written", "word error rate"), rows)]

    def trivial_scores(self, split: "Split") -> dict[str, float]:
        """Return the error rates of writing nothing."""
        return {name: 1.0 for name in (WER.name, CER.name) if name in self.task.metrics}

    def placeholders(self, table: "Table") -> list[Any]:
        """Return a text for each row."""
        return [self.characters.strip()[:1] or "?"] * len(table)

    def answers_of(self, predictions: Sequence[Any], encoded: Encoded) -> list[dict[str, Any]]:
        """Return the texts."""
        return [{"prediction": text} for _, text in predictions]

    def configure(self, config: Any) -> None:
        """Set the number of classes, and leave out what draws at random beside torch."""
        super().configure(config)
        configure_sound(config)
        config.vocab_size = len(self.characters) + 1
        config.pad_token_id = BLANK

    @property
    def head_in_words(self) -> str:
        """What it tells apart."""
        return f"gives every frame one of {len(self.characters)} characters, or none"

    @property
    def target_in_words(self) -> str:
        """What is written."""
        return f"`{self.task.target_column}`, what is said, in the characters `{self.characters}`"

    @property
    def model_arguments(self) -> dict[str, Any]:
        """The number of classes; the pretrained output layer may have another."""
        return {"vocab_size": len(self.characters) + 1, "ignore_mismatched_sizes": True}

    @property
    def example(self) -> "Split":
        """Two seconds of noise."""
        from autopeft.tasks.task import Split

        return Split((some_noise(),), [self.characters[0]] * 2)

    def usage(self, max_length: int) -> str:
        """Return the text of samples."""
        return (
            f"samples = [0.0] * {READING_RATE}  # one second, at {READING_RATE} samples a second\n"
            f'inputs = tokenizer(samples, sampling_rate={READING_RATE}, return_tensors="pt")\n'
            "with torch.no_grad():\n    classes = model(**inputs).logits[0].argmax(dim=-1).unique_consecutive().tolist()\n"
            f"characters = {self.characters!r}\n"
            'print("".join(characters[one - 1] for one in classes if one))'
        )


def _after(n: int, kernels: Sequence[int], strides: Sequence[int]) -> int:
    """Return how many frames convolutions without padding make of so many samples."""
    for kernel, stride in zip(kernels, strides, strict=True):
        n = (n - kernel) // stride + 1
    return n


def _losses(outputs: Any, batch: Batch) -> "Tensor":
    """Return a recording's negative log-likelihood each, in float32; 0 where it is too short for its text."""
    from torch.nn import functional

    scores = functional.log_softmax(outputs.logits.float(), dim=-1).transpose(0, 1)
    classes, lengths = batch.targets[:, 2:], batch.targets[:, 1]
    return functional.ctc_loss(scores, classes, outputs["frames"], lengths, blank=BLANK, reduction="none", zero_infinity=True)
