"""What a recording says, by an encoder-decoder of Whisper's kind (Radford et al. 2022, arXiv 2212.04356).

The decoder is given what to do, and learns the transcript's tokens y and the end:

    <|startoftranscript|> [<|language|> <|transcribe|>] <|notimestamps|> y <|endoftext|>

Models of several languages want the language, those of English alone take none. Loss and perplexity are those of y and the end, each
predicted from the recording and the tokens before it. Texts are generated, and scored, where a retrained configuration is measured on
test data, and in trials that are searched by an error rate. The pretrained output layer is used as it is.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from autopeft.budget import Budget
from autopeft.errors import InvalidInputError, UnsupportedError
from autopeft.tasks.encoded import Batch, Encoded
from autopeft.tasks.families.recordings import Transcribed, configure_sound, decode_sound, extracted, n_samples, some_noise
from autopeft.tasks.families.seq2seq import IGNORED, Seq2Seq
from autopeft.tasks.family import Columns, Family
from autopeft.tasks.generated import BATCH, Written
from autopeft.tasks.metric import Metric
from autopeft.tasks.sounds import READING_RATE, sound_length
from autopeft.tasks.text_scores import own_text_metrics, scores_of_each
from autopeft.tasks.transcripts import CER, WER, character_error_rate, word_error_rate

if TYPE_CHECKING:
    from torch import nn

    from autopeft.tasks.metrics import Floats
    from autopeft.tasks.table import Table
    from autopeft.tasks.task import Split, Task

_LANGUAGE = "language"
_START, _TRANSCRIBE, _NO_TIMESTAMPS = "<|startoftranscript|>", "<|transcribe|>", "<|notimestamps|>"
N_POSITIONS = 448
"""Tokens that Whisper's decoders can hold."""
_ENGLISH_WORDS = 51_864
"""Words of the vocabulary of Whisper's models of English alone; those of several languages have more."""


def most_tokens(seconds: float) -> int:
    """Return more tokens than anybody says in so many seconds: a model that doesn't stop is cut off then."""
    return math.ceil(16 + 16 * seconds)


class SpeechSeq2Seq(Transcribed, Seq2Seq):
    """Cross-entropy over the tokens of transcripts."""

    name: ClassVar[str] = "speech_seq2seq"
    settings_form: ClassVar[Any] = {_LANGUAGE: str}
    summary: ClassVar[str] = "what a recording says, by an encoder-decoder of Whisper's kind"
    auto_model: ClassVar[str] = "AutoModelForSpeechSeq2Seq"
    for_other_models: ClassVar[str] = "speech_to_text"
    processor: ClassVar[str] = "AutoProcessor"
    needs_processor: ClassVar[bool] = True
    low_cost: ClassVar[Budget] = Budget(train_examples=200, epochs=2, evaluation_examples=100, batch_size=8)
    evaluation_positions: ClassVar[int | None] = 8 * 30 * READING_RATE
    peft_task_type: ClassVar[str] = ""
    pipeline: ClassVar[str] = "automatic-speech-recognition"

    @classmethod
    def claims(cls, table: "Table", columns: Columns) -> bool:
        """Recordings with transcripts are learnt by CTC unless `--kind` says otherwise."""
        return False

    @classmethod
    def make_task(cls, table: "Table", name: str, columns: Columns) -> "Task":
        """Return a task that is searched by the loss, in no language that would have to be said."""
        return replace(super().make_task(table, name, columns), settings={_LANGUAGE: ""})

    @classmethod
    def in_language(cls, task: "Task", language: str) -> "Task":
        """Return the task in a language, such as "de"."""
        return replace(task, settings={**task.settings, _LANGUAGE: language})

    @classmethod
    def limit_texts(cls, task: "Task", n_tokens: int) -> "Task":
        """How much may be said follows from how long a recording is: refuse."""
        return super(Seq2Seq, cls).limit_texts(task, n_tokens)

    @property
    def language(self) -> str:
        """The code of the language that is spoken; "" for models of English alone."""
        return str(self.task.settings[_LANGUAGE])

    def encode(self, processor: Any, split: "Split", max_length: int, *, training: bool = False) -> Encoded:
        """Return a row a recording, not decoded yet, with the tokens of its transcript.

        Raises:
            UnsupportedError: The model isn't of Whisper's kind.
            InvalidInputError: It knows no such language.
        """
        tokenizer: Any = getattr(processor, "tokenizer", None)
        prefix = self._prefix(tokenizer)
        most = min(max_length, N_POSITIONS - len(prefix))
        bodies = tokenizer(list(split.targets), add_special_tokens=False)["input_ids"]
        # What is cut off has no end: a model must not learn to stop there.
        texts = [ids[:most] if len(ids) > most else [*ids, tokenizer.eos_token_id] for ids in bodies]
        rows = [
            {"data": data, "given": prefix, "text": text, "samples": n_samples(data)}
            for data, text in zip(split.inputs[0], texts, strict=True)
        ]
        weights = np.array([len(text) for text in texts], dtype=np.int64)
        lengths = np.array([row["samples"] for row in rows], dtype=np.int64)
        whole = np.array([sound_length(data) for data in split.inputs[0]], dtype=np.int64)
        return Encoded(self, processor, rows, list(split.targets), lengths, weights, whole)

    def _prefix(self, tokenizer: Any) -> list[int]:
        """Return the tokens that say what to do."""
        known = tokenizer.get_vocab() if tokenizer is not None else {}
        if not {_START, _NO_TIMESTAMPS} <= known.keys():
            rule = f"{self.name} takes models of Whisper's kind, whose tokenizers know {_START} and {_NO_TIMESTAMPS}"
            raise UnsupportedError(rule, remedy=f"Take such a model, or learn by CTC: --kind {self.for_other_models}.")
        names = [f"<|{self.language}|>", _TRANSCRIBE] if self.language else []
        if unknown := [name for name in names if name not in known]:
            remedy = "Give the code of a language that the model was trained on, such as --language de."
            raise InvalidInputError(f"the model's tokenizer has no token {unknown[0]}", value=self.language, remedy=remedy)
        return [known[name] for name in (_START, *names, _NO_TIMESTAMPS)]

    def notes_on(self, model: "nn.Module", encoded: Encoded, role: str) -> list[str]:
        """Check that the language is said where a model wants it, and say how many transcripts are cut.

        Raises:
            InvalidInputError: It isn't, or it is where a model takes none, or transcripts are longer than the decoder's positions.
        """
        knows: Any = model
        is_multilingual = getattr(getattr(knows, "generation_config", None), "is_multilingual", knows.config.vocab_size > _ENGLISH_WORDS)
        if is_multilingual and not self.language:
            remedy = "Say it: --language en, or de, ..."
            raise InvalidInputError("a model of several languages must know which is spoken", remedy=remedy)
        if self.language and not is_multilingual:
            raise InvalidInputError("a model of one language takes none", value=self.language, remedy="Leave --language out.")
        room, n_given = knows.config.max_target_positions, len(self._prefix(encoded.processor.tokenizer))
        if (longest := int(encoded.weights.max()) - 1) > (most := room - n_given):
            rule = f"the model's decoder reads {room:,} tokens, of which {n_given} say what to do, and {role} transcripts are longer"
            raise InvalidInputError(rule, value=longest, remedy=f"Cut them: --max-length {most}.")
        n = sum(row["text"][-1] != encoded.processor.tokenizer.eos_token_id for row in encoded.rows)
        return [f"{n:,} of {len(encoded):,} {role} transcripts are cut after {longest + 1:,} tokens: --max-length sets it"] if n else []

    def collate(self, encoded: Encoded, indices: Sequence[int]) -> Batch:
        """Return what the feature extractor makes of some recordings, and the decoder's inputs; targets begin with the transcript."""
        import torch

        rows = [encoded.rows[index] for index in indices]
        inputs = extracted(encoded.processor.feature_extractor, [decode_sound(row["data"]) for row in rows])
        end, longest = encoded.processor.tokenizer.eos_token_id, max(len(row["text"]) for row in rows)
        given = [[*row["given"], *row["text"][:-1], *[end] * (longest - len(row["text"]))] for row in rows]
        targets = [[*[IGNORED] * (len(row["given"]) - 1), *row["text"], *[IGNORED] * (longest - len(row["text"]))] for row in rows]
        return Batch({**inputs, "decoder_input_ids": torch.tensor(given)}, torch.tensor(targets))

    @property
    def written_metrics(self) -> tuple[Metric, ...]:
        """The error rates of words and characters, and a user's own metrics."""
        return replace(WER, is_written=True), replace(CER, is_written=True), *own_text_metrics()

    def write(self, model: "nn.Module", encoded: Encoded) -> list[Written]:
        """Return a text for each recording."""
        sources = [f"{row['samples'] / READING_RATE:.1f} s" for row in encoded.rows]
        return [Written(*one) for one in zip(sources, self._written(model, encoded), encoded.references, strict=True)]

    def score_each_written(self, written: Sequence[Written]) -> dict[str, "Floats"]:
        """Return a user's own metrics of each text."""
        return scores_of_each([one.text for one in written], [one.reference.strip() for one in written], own_text_metrics())

    def score_written_together(self, written: Sequence[Written], *, quickly: bool = False) -> dict[str, float]:
        """Return the error rates of words and characters."""
        texts, references = [one.text for one in written], [one.reference.strip() for one in written]
        return {WER.name: word_error_rate(texts, references), CER.name: character_error_rate(texts, references)}

    def _written(self, model: "nn.Module", encoded: Encoded) -> list[str]:
        """Return what a model writes for each row, greedily."""
        import torch

        device, tokenizer = next(model.parameters()).device, encoded.processor.tokenizer
        # Whisper's own `generate` would work out again what the decoder is given, and may cut recordings into windows: here is what
        # it rests on. Of a wrapped model it is inside.
        bases = ((module, base) for module in model.modules() for base in type(module).__mro__ if base.__name__ == "GenerationMixin")
        maker: Any
        generation: Any
        maker, generation = next(bases)
        found: list[str] = []
        for start in range(0, len(encoded), BATCH):
            rows = range(start, min(start + BATCH, len(encoded)))
            inputs = encoded.batch(rows).to(device).inputs
            given = inputs["decoder_input_ids"] = torch.tensor([encoded.rows[row]["given"] for row in rows], device=device)
            inputs["attention_mask"] = torch.ones_like(inputs["input_features"][:, 0], dtype=torch.long)
            seconds = max(encoded.rows[row]["samples"] for row in rows) / READING_RATE
            most = min(N_POSITIONS, maker.config.max_target_positions) - given.shape[1]
            with torch.inference_mode():
                ids = generation.generate(maker, **inputs, max_new_tokens=min(most, most_tokens(seconds)), do_sample=False, num_beams=1)
            found += tokenizer.batch_decode(ids, skip_special_tokens=True)
        return [text.strip() for text in found]

    def configure(self, config: Any) -> None:
        """Leave out what draws at random beside torch."""
        super().configure(config)
        configure_sound(config)

    @property
    def target_in_words(self) -> str:
        """What is written."""
        return f"`{self.task.target_column}`, what is said"

    @property
    def example(self) -> "Split":
        """Two seconds of noise."""
        from autopeft.tasks.task import Split

        return Split((some_noise(),), ["a", "b"])

    def usage(self, max_length: int) -> str:
        """Return the text of samples."""
        said = f', language="{self.language}", task="transcribe"' if self.language else ""
        return (
            f"samples = [0.0] * {READING_RATE}  # one second, at {READING_RATE} samples a second\n"
            f'inputs = tokenizer(samples, sampling_rate={READING_RATE}, return_tensors="pt")\n'
            f"with torch.no_grad():\n    ids = model.generate(**inputs{said})\n"
            "print(tokenizer.batch_decode(ids, skip_special_tokens=True)[0])"
        )

    def prompts(self, processor: Any, split: "Split", max_length: int) -> Any:
        """Recordings aren't texts to be continued: refuse."""
        return Family.prompts(self, processor, split, max_length)
