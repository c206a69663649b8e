"""The part of a text that answers a question (SQuAD; Rajpurkar et al. 2016, arXiv 1606.05250; without an answer 2018, 1806.03822).

Long texts are read in windows that overlap. A span's score is the sum of its start and end logits; of all windows the best span wins,
unless some training question has no answer and the span's score isn't larger than that of the first token, which stands for "no answer",
by a margin. The margin is the one of the largest F1 on validation examples, as in SQuAD's own script.
"""

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from autopeft.budget import Budget
from autopeft.errors import InvalidInputError, UnsupportedError
from autopeft.tasks.columns import is_sequence, texts
from autopeft.tasks.details import Detail, of_texts
from autopeft.tasks.encoded import Batch, Encoded
from autopeft.tasks.family import Columns, Family, require_rows
from autopeft.tasks.metric import LOSS, Metric
from autopeft.tasks.text import lengths, padded_length, text_batch

if TYPE_CHECKING:
    from torch import Tensor

    from autopeft.tasks.table import Table
    from autopeft.tasks.task import Split, Task

MAX_ANSWER_TOKENS = 30
"""Longest span that is predicted."""
MIN_ROOM = 4
"""Tokens that a window needs for question and text."""
STRIDE_SHARE = 3
"""Windows overlap by a window's length over this."""
_F1, _EXACT = Metric("f1"), Metric("exact_match")
_TEXTS = ("context", "passage", "document", "paragraph")
_TARGETS = ("answers", "answer")
_START = "answer_start"
_CAN_BE_UNANSWERED, _MARGIN = "unanswerable", "margin"


class QuestionAnswering(Family):
    """Cross-entropy of the first and of the last token of an answer."""

    name: ClassVar[str] = "question_answering"
    settings_form: ClassVar[Any] = {_CAN_BE_UNANSWERED: bool, _MARGIN: float}
    too_long: ClassVar[str] = "are read in parts"
    summary: ClassVar[str] = "the part of a text that answers a question"
    columns_in_words: ClassVar[str] = "question, context, and answers as SQuAD has them, or an answer's text"
    auto_model: ClassVar[str] = "AutoModelForQuestionAnswering"
    low_cost: ClassVar[Budget] = Budget(train_examples=2000, epochs=2, evaluation_examples=300, batch_size=16, max_length=384)
    # peft 0.21 has a class for it, which drops token_type_ids; its plain one passes everything on.
    peft_task_type: ClassVar[str] = ""
    pipeline: ClassVar[str] = "question-answering"

    @classmethod
    def find_columns(cls, table: "Table", given: Columns) -> Columns | None:
        """Take usual names; of two given columns the second is the text."""
        target = given.target or next((name for name in _TARGETS if name in table.columns), None)
        context = next((name for name in _TEXTS if name in table.columns), None)
        inputs = given.inputs or (("question", context) if context and "question" in table.columns else ())
        return Columns(inputs, target) if len(inputs) == 2 and target else None

    @classmethod
    def claims(cls, table: "Table", columns: Columns) -> bool:
        """A question, a text and answers of usual names say so."""
        return columns.inputs[0] == "question" and columns.inputs[1] in _TEXTS and columns.target in _TARGETS

    @classmethod
    def make_task(cls, table: "Table", name: str, columns: Columns) -> "Task":
        """Note whether some question has no answer."""
        from autopeft.tasks.task import Task

        assert columns.target is not None
        unanswered = any(not _answers(table, columns.target, row)[0] for row in range(len(table)))
        return Task(
            name,
            cls.name,
            columns.inputs,
            columns.target,
            (),
            "f1",
            ("f1", "exact_match", "loss"),
            cls.low_cost,
            {_CAN_BE_UNANSWERED: unanswered},
        )

    @classmethod
    def metrics_of(cls, labels: Sequence[str]) -> tuple[Metric, ...]:
        """Return the metrics."""
        return (_F1, _EXACT, LOSS)

    @classmethod
    def check(cls, task: "Task") -> None:
        """Check the columns."""
        super().check(task)
        if len(task.input_columns) != 2 or task.labels:
            raise InvalidInputError("answers are looked for by a column of questions and one of texts", value=task.input_columns)

    def read(self, table: "Table", ids: Mapping[str, int]) -> "Split":
        """Return questions, texts, and for each question its answers with the characters at which they start; none where there is none."""
        from autopeft.tasks.task import Split

        question, context = (texts(table, name) for name in self.task.input_columns)
        found = []
        for row, text in enumerate(context):
            answers, starts = _answers(table, self.task.target_column, row)
            starts = starts or [text.find(answer) for answer in answers]
            for answer, start in zip(answers, starts, strict=True):
                if start < 0 or text[start : start + len(answer)] != answer:
                    raise InvalidInputError(
                        f"{table.where(row)}: an answer must stand in its text, at the character that {_START} says", value=answer
                    )
            found.append(list(zip(answers, starts, strict=True)))
        return Split((question, context), found)

    def require_trainable(self, split: "Split", source: str) -> None:
        """Check that there is an answer."""
        if not any(split.targets):
            raise InvalidInputError(f"{source}: some training question must have an answer", value=len(split))

    def encode(self, processor: Any, split: "Split", max_length: int, *, training: bool = False) -> Encoded:
        """Return a row a window; its target is the first answer, or the first token where that isn't in it."""
        if not processor.is_fast:
            raise UnsupportedError(
                "answers need a fast tokenizer, which says which characters a token is of", value=type(processor).__name__
            )
        room = max_length - processor.num_special_tokens_to_add(pair=True)
        if room < MIN_ROOM:
            raise InvalidInputError(
                f"a question and a part of its text need {MIN_ROOM} tokens beside the special ones",
                value=f"{max_length} tokens",
                remedy=f"Give --max-length {max_length - room + MIN_ROOM} or more.",
            )
        questions = [_shortened(processor, question.strip(), room // 2) for question in split.inputs[0]]
        overlap = min(max_length // STRIDE_SHARE, room // 4)
        fields = processor(
            questions,
            list(split.inputs[1]),
            truncation="only_second",
            max_length=max_length,
            stride=overlap,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        names = [name for name in fields if name in processor.model_input_names]
        rows, windows = [], []
        for window, example in enumerate(fields["overflow_to_sample_mapping"]):
            offsets, parts = fields["offset_mapping"][window], fields.sequence_ids(window)
            is_text = [part == 1 for part in parts]
            start, end = _span(offsets, is_text, split.targets[example])
            rows.append({name: fields[name][window] for name in names} | {"start": start, "end": end, "is_text": is_text})
            windows.append((example, offsets))
        references = [
            {"text": text, "answers": [answer for answer, _ in answers], "windows": []}
            for text, answers in zip(split.inputs[1], split.targets, strict=True)
        ]
        for window, (example, offsets) in enumerate(windows):
            references[example]["windows"].append((window, offsets))
        whole = [_whole_length([rows[window]["is_text"] for window, _ in one["windows"]], overlap) for one in references]
        weights = np.ones(len(rows), dtype=np.int64)
        return Encoded(self, processor, rows, references, lengths(rows), weights, np.array(whole, dtype=np.int64))

    def collate(self, encoded: Encoded, indices: Sequence[int]) -> Batch:
        """Return token ids, and rows x positions x 3: whether an answer starts there, whether it ends there, and whether it may."""
        import torch

        n_positions = padded_length(encoded, indices)
        rows = [encoded.rows[index] for index in indices]
        inputs = text_batch(encoded, indices, leave_out=("start", "end", "is_text"))
        targets = torch.zeros(len(rows), n_positions, 3, dtype=torch.long)
        for place, row in enumerate(rows):
            targets[place, row["start"], 0] = targets[place, row["end"], 1] = 1
            targets[place, : len(row["is_text"]), 2] = torch.tensor(row["is_text"]).long()
        return Batch(inputs, targets)

    def loss(self, outputs: Any, batch: Batch) -> "Tensor":
        """Return the mean of the cross-entropies of start and end, summed over windows."""
        return _losses(outputs, batch).sum()

    def reduce(self, outputs: Any, batch: Batch) -> list[Any]:
        """Return for each window its loss, the score and the tokens of its best span, and the score of no answer."""
        import torch

        starts, ends = outputs.start_logits.float(), outputs.end_logits.float()
        may = batch.targets[..., 2] > 0
        outside = torch.finfo(starts.dtype).min
        sums = starts.masked_fill(~may, outside)[:, :, None] / 2 + ends.masked_fill(~may, outside)[:, None, :] / 2
        width = sums.shape[1]
        band = torch.ones(width, width, dtype=torch.bool, device=sums.device).triu().tril(MAX_ANSWER_TOKENS - 1)
        best, place = sums.masked_fill(~band, outside).flatten(1).max(dim=1)
        none = (starts[:, 0] + ends[:, 0]) / 2
        columns = (_losses(outputs, batch), best, place // width, place % width, none)
        return [tuple(row) for row in torch.stack([column.cpu().double() for column in columns], dim=1).tolist()]

    def score(self, predictions: Sequence[Any], encoded: Encoded) -> dict[str, float]:
        """Return F1 and exact match after SQuAD's normalisation, of the best of a question's answers."""
        require_rows(predictions, len(encoded))
        loss = float(np.mean([row[0] for row in predictions]))
        if not np.isfinite(loss):
            return dict.fromkeys(self.task.metrics, float("nan"))
        pairs = [(self._answer(one, predictions), one["answers"] or [""]) for one in encoded.references]
        scores = {
            _F1.name: float(np.mean([max(f1(found, answer) for answer in answers) for found, answers in pairs])),
            _EXACT.name: float(np.mean([max(normalised(found) == normalised(answer) for answer in answers) for found, answers in pairs])),
            LOSS.name: loss,
        }
        return {name: scores[name] for name in self.task.metrics}

    def tuned(self, predictions: Sequence[Any], encoded: Encoded) -> "Task":
        """Return the task with the margin of the largest F1, below which a question has no answer, where some have none."""
        if not self._can_be_unanswered or not np.isfinite([row[0] for row in predictions]).all():
            return self.task
        spans = [_best_span(one, predictions, beside_none=True) for one in encoded.references]
        truths = [one["answers"] or [""] for one in encoded.references]
        gains = [
            max(f1(text, answer) for answer in answers) - max(f1("", answer) for answer in answers)
            for (_, text), answers in zip(spans, truths, strict=True)
        ]
        margins = np.array([margin for margin, _ in spans])
        order = np.argsort(-margins, kind="stable")
        # What F1 gains, added up, if the questions of the largest margins are answered; none, one, two, ...
        totals = np.concatenate([[0.0], np.cumsum(np.array(gains)[order])])
        ranked = np.concatenate([[margins.max() + 2], margins[order], [margins.min() - 2]])
        totals[1:-1][np.diff(ranked[1:-1]) == 0] = -np.inf  # equal margins are answered together
        n_answered = int(totals.argmax())
        middle = float(ranked[n_answered] + ranked[n_answered + 1]) / 2
        return replace(self.task, settings={**self.task.settings, _MARGIN: middle})

    @property
    def _can_be_unanswered(self) -> bool:
        return bool(self.task.settings.get(_CAN_BE_UNANSWERED))

    def details(self, predictions: Sequence[Any], encoded: Encoded) -> list[Detail]:
        """Return how questions with and without an answer fare, and some answers beside those that are right."""
        pairs = [(self._answer(one, predictions), one["answers"]) for one in encoded.references]
        scored = [(found, answers, max(f1(found, answer) for answer in answers or [""])) for found, answers in pairs]
        groups = [("with an answer", [one for one in scored if one[1]]), ("without", [one for one in scored if not one[1]])]
        means = tuple((name, len(some), round(float(np.mean([one[2] for one in some])), 4)) for name, some in groups if some)
        texts = [(" / ".join(answers) or "none", found or "none", round(score, 4)) for found, answers, score in scored]
        return [
            Detail("Scores of questions", ("questions", "examples", "F1"), means),
            of_texts("Answers", ("right", "found", "F1"), texts),
        ]

    def _answer(self, one: Mapping[str, Any], predictions: Sequence[Any]) -> str:
        margin, text = _best_span(one, predictions, beside_none=self._can_be_unanswered)
        return "" if self._can_be_unanswered and margin < self.task.settings.get(_MARGIN, 0.0) else text

    def of_examples(self, predictions: Sequence[Any], encoded: Encoded, examples: Sequence[int]) -> tuple[Sequence[Any], Encoded]:
        """Return the references of some questions, which say where their windows are; the rows stay as they are, and with them the loss."""
        return predictions, replace(encoded, references=[encoded.references[index] for index in examples])

    def placeholders(self, table: "Table") -> list[Any]:
        """Return no answer for each question."""
        return [""] * len(table)

    def answers_of(self, predictions: Sequence[Any], encoded: Encoded) -> list[dict[str, Any]]:
        """Return the part of the text that answers; empty where nothing does."""
        return [{"prediction": self._answer(one, predictions)} for one in encoded.references]

    def trivial_scores(self, split: "Split") -> dict[str, float]:
        """Return the share of questions without an answer, which are right when nothing is answered."""
        share = float(np.mean([not answers for answers in split.targets]))
        return {_F1.name: share, _EXACT.name: share}

    @property
    def head_in_words(self) -> str:
        """What it does."""
        return "says where an answer starts and ends"

    @property
    def target_in_words(self) -> str:
        """What is predicted."""
        return f"the part of `{self.task.input_columns[1]}` that answers `{self.task.input_columns[0]}`"

    @property
    def example(self) -> "Split":
        """Two questions with texts."""
        from autopeft.tasks.task import Split

        context = ["An example.", "Another example of more words."]
        return Split((["What?", "How many?"], context), [[("example", 3)], [("more", 19)]])

    def usage(self, max_length: int) -> str:
        """Return the answer to a question about a short text."""
        return (
            'question, context = "The question?", "A text that answers it."\n'
            f'inputs = tokenizer(question, context, truncation="only_second", max_length={max_length}, return_tensors="pt")\n'
            "with torch.no_grad():\n    outputs = model(**inputs)\n"
            "first, last = outputs.start_logits.argmax().item(), outputs.end_logits.argmax().item()\n"
            'print(tokenizer.decode(inputs["input_ids"][0, first : last + 1], skip_special_tokens=True))'
        )


def _best_span(one: Mapping[str, Any], predictions: Sequence[Any], *, beside_none: bool) -> tuple[float, str]:
    """Return the score and the text of the best span of a question's windows; each is compared with its window's "no answer" if asked."""
    best, text = -np.inf, ""
    for window, offsets in one["windows"]:
        _, score, start, end, none = predictions[window]
        score -= none if beside_none else 0.0
        if score > best:
            best, text = score, one["text"][offsets[int(start)][0] : offsets[int(end)][1]]
    return best, text


def _shortened(tokenizer: Any, question: str, n_tokens: int) -> str:
    """Return a question, or its beginning if it has more tokens: the text needs room too."""
    offsets = tokenizer(question, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    return question if len(offsets) <= n_tokens else question[: offsets[n_tokens - 1][1]]


def normalised(text: str) -> str:
    """Return an answer as SQuAD compares them: lower case, without punctuation, articles and double spaces."""
    kept = "".join(character for character in text.lower() if character not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", kept).split())


def f1(found: str, answer: str) -> float:
    """Return F1 over the words of two normalised answers; of two empty ones 1."""
    words, others = normalised(found).split(), normalised(answer).split()
    if not words or not others:
        return float(words == others)
    common = (Counter(words) & Counter(others)).total()
    return 2 * common / (len(words) + len(others))


def _span(offsets: Sequence[tuple[int, int]], is_text: Sequence[bool], answers: Sequence[tuple[str, int]]) -> tuple[int, int]:
    """Return the first and the last token of the first answer, or 0 and 0 where a window doesn't hold it."""
    if not answers:
        return 0, 0
    answer, first = answers[0]
    last = first + len(answer)
    inside = [place for place, (start, end) in enumerate(offsets) if is_text[place] and start < last and end > first]
    whole = inside and offsets[inside[0]][0] <= first and offsets[inside[-1]][1] >= last
    return (inside[0], inside[-1]) if whole else (0, 0)


def _whole_length(windows: Sequence[Sequence[bool]], overlap: int) -> int:
    """Return how many tokens question and text have together, of the windows' tokens which are the text's."""
    return len(windows[0]) + sum(sum(window) - overlap for window in windows[1:])


def _losses(outputs: Any, batch: Batch) -> "Tensor":
    from torch.nn import functional

    starts, ends = batch.targets[..., 0].argmax(dim=1), batch.targets[..., 1].argmax(dim=1)
    both = [
        functional.cross_entropy(logits.float(), places, reduction="none")
        for logits, places in ((outputs.start_logits, starts), (outputs.end_logits, ends))
    ]
    return (both[0] + both[1]) / 2


def _answers(table: "Table", column: str, row: int) -> tuple[list[str], list[int]]:
    """Return a question's answers and, where they are given, the characters at which they start.

    Raises:
        InvalidInputError: The cell holds something else.
    """
    cell: Any = table.column(column)[row]
    found: Any
    starts: Any
    if isinstance(cell, str):
        found, starts = [cell] if cell.strip() else [], [table.columns[_START][row]] if _START in table.columns else []
    elif isinstance(cell, Mapping):
        found, starts = cell.get("text") or [], cell.get(_START) or []
    elif is_sequence(cell) and all(isinstance(one, Mapping) for one in cell):
        found, starts = [one.get("text") for one in cell], [one.get(_START) for one in cell]
    else:
        found, starts = None, []
    if not is_sequence(found) or not is_sequence(starts) or not all(isinstance(answer, str) for answer in found):
        raise InvalidInputError(f"{table.where(row)}: the column {column!r} must hold answers as SQuAD has them, or a text", value=cell)
    known = [start for start in starts if start not in (None, "")]
    if known and len(known) < len(found):
        raise InvalidInputError(f"{table.where(row)}: there must be an {_START} for each answer, or none", value=cell)
    return list(found), [_character(table, row, start) for start in known[: len(found)]]


def _character(table: "Table", row: int, start: Any) -> int:
    """Return where an answer starts.

    Raises:
        InvalidInputError: It is no whole number.
    """
    text = str(start).strip()
    if isinstance(start, bool) or not re.fullmatch(r"-?\d{1,15}(\.0)?", text, re.ASCII):
        raise InvalidInputError(f"{table.where(row)}: {_START} must be the number of a character", value=start)
    return int(float(text))
