"""Text that continues a prompt, by the language model's own output layer.

| symbol | meaning |
|---|---|
| x | tokens of prompt and completion |
| L | positions of the completion's tokens, its end token among them |
| c | a choice: one of the few completions there are |

loss = - sum over examples and t in L of log p(x_t | x_<t) / number of such tokens; perplexity = exp(loss). Where completions are among
a few, the choice is the c of the largest sum of log p(c_t | x_<t), its end token left out as lm-evaluation-harness does, or of the
largest sum per byte of c.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from autopeft.budget import Budget
from autopeft.tasks import completions
from autopeft.tasks.columns import shares
from autopeft.tasks.details import Detail, of_classes
from autopeft.tasks.encoded import Batch, Encoded
from autopeft.tasks.family import Columns, Family, all_finite, require_rows, stacked
from autopeft.tasks.generated import SETTINGS_FORM, Written, continuations, most_new_tokens, of_at_most
from autopeft.tasks.metric import LOSS, Metric
from autopeft.tasks.metrics import perplexity
from autopeft.tasks.prompts import ANSWER, ASSISTANT, Encodable, Prompt, encode, put_together
from autopeft.tasks.text import lengths, padded, padded_length, text_batch
from autopeft.tasks.text_scores import text_metrics

if TYPE_CHECKING:
    from torch import Tensor, nn

    from autopeft.tasks.table import Table
    from autopeft.tasks.task import Split, Task

MAX_CHOICES = 20
"""Completions that are among so many, each of them often, are answers to choose from."""
_IGNORED = -100
_CHOICE = Metric("choice_accuracy")
_CHOICE_PER_BYTE = Metric("choice_accuracy_per_byte")
_PERPLEXITY = Metric("perplexity", "minimize")


class CausalLM(Family):
    """Cross-entropy over the tokens of completions."""

    name: ClassVar[str] = "causal_lm"
    summary: ClassVar[str] = "the text that follows a prompt, by a language model"
    columns_in_words: ClassVar[str] = "messages or conversations; or prompt and completion; or instruction and output; or text alone"
    settings_form: ClassVar[Any] = SETTINGS_FORM
    auto_model: ClassVar[str] = "AutoModelForCausalLM"
    has_fresh_head: ClassVar[bool] = False
    has_class_logits: ClassVar[bool] = True
    continues_answers: ClassVar[bool] = True
    writes_text: ClassVar[bool] = True
    low_cost: ClassVar[Budget] = Budget(train_examples=1000, epochs=1, evaluation_examples=200, batch_size=16, max_length=512)
    evaluation_positions: ClassVar[int | None] = 2048
    peft_task_type: ClassVar[str] = "CAUSAL_LM"
    pipeline: ClassVar[str] = "text-generation"

    @classmethod
    def find_columns(cls, table: "Table", given: Columns) -> Columns | None:
        """Take what is given; else messages, usual pairs, or one column of text."""
        return completions.find_columns(table, given)

    @classmethod
    def claims(cls, table: "Table", columns: Columns) -> bool:
        """Only columns of usual names say that a text is to be continued, and only lists are conversations."""
        return completions.are_usual(table, columns)

    @classmethod
    def make_task(cls, table: "Table", name: str, columns: Columns) -> "Task":
        """Take the completions as choices where they are few and each is there often."""
        from autopeft.tasks.task import Task

        assert columns.target is not None
        labels: tuple[str, ...] = ()
        if not completions.is_learnt_whole(columns.inputs, columns.target):
            cells = [cell for cell in table.column(columns.target) if isinstance(cell, str)]
            distinct = sorted(set(cells))
            if 2 <= len(distinct) <= MAX_CHOICES and len(cells) >= 5 * len(distinct):
                labels = tuple(distinct)
        metric = _CHOICE if labels else LOSS
        metrics = tuple(one.name for one in cls.metrics_of(labels))
        return Task(name, cls.name, columns.inputs, columns.target, labels, metric.name, metrics, cls.low_cost)

    @classmethod
    def limit_texts(cls, task: "Task", n_tokens: int) -> "Task":
        """Return the task with answers of at most so many tokens, unless they are chosen."""
        return super().limit_texts(task, n_tokens) if task.labels else of_at_most(task, n_tokens)

    @classmethod
    def metrics_of(cls, labels: Sequence[str]) -> tuple[Metric, ...]:
        """Return the metrics; choices have an accuracy."""
        return (*((_CHOICE, _CHOICE_PER_BYTE) if labels else ()), _PERPLEXITY, LOSS)

    def read(self, table: "Table", ids: Mapping[str, int]) -> "Split":
        """Return prompts, which are texts or lists of messages, and completions, which are texts."""
        return completions.read(table, self.task.input_columns, self.task.target_column)

    def require_trainable(self, split: "Split", source: str) -> None:
        """Any text can be learnt from."""

    def summarise(self, split: "Split") -> str:
        """Say how large the choices are, where answers are choices."""
        if not self.task.labels:
            return super().summarise(split)
        counts = [sum(target == label for target in split.targets) for label in self.task.labels]
        return f"{len(self.task.labels)} choices in {len(split):,} training examples: {shares(self.task.labels, counts, len(split))}"

    # Examples

    def encode(self, processor: Any, split: "Split", max_length: int, *, training: bool = False) -> Encoded:
        """Return a row an example; to measure choices, a row for each of them, by label."""
        pairs: list[Encodable] = []
        references: list[dict[str, Any]] = []
        for prompt, gap, completion in self._pairs(split, processor):
            choices = [completion] if training or not self.task.labels else list(self.task.labels)
            true = choices.index(completion) if completion in choices else len(choices)
            choices += [completion] * (true == len(choices))
            references.append(
                {"first": len(pairs), "true": true, "text": completion, "bytes": [len(choice.encode()) for choice in choices]}
            )
            pairs += [put_together(processor, prompt, gap + one, all_turns=self._is_conversation) for one in choices]
        rows, of_pairs = encode(processor, pairs, max_length)
        weights = np.array([sum(map(bool, row["learnt"][1:])) for row in rows], dtype=np.int64)
        whole = np.maximum.reduceat(of_pairs, [one["first"] for one in references])
        return Encoded(self, processor, rows, references, lengths(rows), weights, whole)

    @property
    def _is_conversation(self) -> bool:
        """Whether one column holds all turns, the answers among them."""
        return completions.is_learnt_whole(self.task.input_columns, self.task.target_column)

    def _pairs(self, split: "Split", tokenizer: Any) -> Iterator[tuple[Prompt, str, str]]:
        """Yield each example's prompt, what stands between prompt and completion, and the completion.

        Several columns, or one of another name than "prompt", are written with their names where there is no chat to put them into.
        """
        is_chat = bool(getattr(tokenizer, "chat_template", None))
        names = self.task.input_columns
        is_raw = is_chat or self._is_conversation or names == ("prompt",)
        for *cells, completion in zip(*split.inputs, split.targets, strict=True):
            if len(cells) == 1 and (is_raw or not isinstance(cells[0], str)):
                yield cells[0], "", completion
            elif is_raw:
                yield "\n\n".join(cell for cell in cells if cell), "", completion
            else:
                lines = [f"{name}: {cell}" for name, cell in zip(names, cells, strict=True) if cell]
                yield "\n".join([*lines, f"{self.task.target_column}:"]), " ", completion

    def notes_on(self, model: "nn.Module", encoded: Encoded, role: str) -> list[str]:
        """Say how many examples have a prompt, where those that have none are not measured."""
        n, n_all = len(self.references(encoded)), len(encoded.references)
        if role == "training" or not self.is_measured_by_writing or n == n_all:
            return []
        return [f"warning: texts are written and scored for {n:,} of {n_all:,} {role} examples: the others have no prompt"]

    def may_write(self, split: "Split") -> bool:
        """Whether answers are not chosen, and some example has a prompt."""
        return super().may_write(split) and any(map(any, split.inputs))

    def references(self, encoded: Encoded) -> list[str]:
        """Return the answers to prompts."""
        return [answer for _, answer in _prompted(encoded)]

    def collate(self, encoded: Encoded, indices: Sequence[int]) -> Batch:
        """Return token ids, and at the positions from which something learnt is predicted the next token's id.

        Targets are rows x positions x 2: the id, -100 where nothing is learnt, and whether it is of the answer itself. The positions are
        the last ones of the inputs that are needed, as `logits_to_keep` counts: from the end.
        """
        import torch

        rows = [encoded.rows[index] for index in indices]
        n_positions = padded_length(encoded, indices)
        inputs = text_batch(encoded, indices, leave_out=("learnt",))
        marks = padded(encoded.processor, [{"learnt": row["learnt"]} for row in rows], n_positions)["learnt"]
        next_marks = marks[:, 1:]
        needed = next_marks.any(dim=0).nonzero()[:, 0]
        first, last = int(needed[0]), int(needed[-1]) + 1
        ids = torch.where(next_marks > 0, inputs["input_ids"][:, 1:], _IGNORED)[:, first:last]
        targets = torch.stack([ids, (next_marks[:, first:last] == ANSWER).long()], dim=2)
        return Batch(inputs, targets, torch.arange(first - n_positions, last - n_positions))

    # A batch

    def forward(self, model: "nn.Module", batch: Batch) -> Any:
        """Return the outputs at the positions that are needed alone: those of all would take gigabytes."""
        if "logits_to_keep" in inspect.signature(model.forward).parameters:
            return model(**batch.inputs, logits_to_keep=batch.kept)
        outputs = model(**batch.inputs)
        outputs.logits = outputs.logits[:, batch.kept]
        return outputs

    def loss(self, outputs: Any, batch: Batch) -> "Tensor":
        """Return the cross-entropy of the learnt tokens."""
        return _token_losses(outputs, batch)[0].sum()

    def class_logits(self, outputs: Any, batch: Batch) -> "Tensor":
        """Return learnt tokens x vocabulary logits."""
        logits: Tensor = outputs.logits[batch.targets[..., 0] != _IGNORED].float()
        return logits

    def answer_positions(self, batch: Batch) -> "Tensor":
        """Return which input tokens are learnt."""
        import torch

        assert batch.kept is not None
        found = torch.zeros_like(batch.inputs["input_ids"], dtype=torch.bool)
        found[:, batch.kept + 1] = batch.targets[..., 0] != _IGNORED  # the one at a position is predicted at the position before
        return found

    def reduce(self, outputs: Any, batch: Batch) -> list[Any]:
        """Return for each row the sum of its losses, and of the log-likelihoods of its answer's own tokens."""
        import torch

        losses, places = _token_losses(outputs, batch)
        each = torch.zeros(batch.targets.shape[:2], dtype=torch.float64)  # on the processor, for Apple's GPU has no such numbers
        each[tuple(one.cpu() for one in places)] = losses.cpu().double()
        answer = (each * batch.targets[..., 1].cpu()).sum(dim=1)
        return list(torch.stack([each.sum(dim=1), -answer], dim=1).numpy())

    # Predictions

    def score(self, predictions: Sequence[Any], encoded: Encoded) -> dict[str, float]:
        """Return loss, perplexity and, of choices, accuracy."""
        require_rows(predictions, len(encoded))
        if not all_finite(predictions):
            return dict.fromkeys(self.task.metrics, float("nan"))
        found = stacked(predictions)
        true = [one["first"] + one["true"] for one in encoded.references]
        loss = float(found[true, 0].sum() / encoded.weights[true].sum())
        scores = {LOSS.name: loss, _PERPLEXITY.name: perplexity(loss)}
        if self.task.labels:
            hits = np.array([_hits(found[one["first"] :][: len(one["bytes"]), 1], one) for one in encoded.references])
            scores |= {_CHOICE.name: float(hits[:, 0].mean()), _CHOICE_PER_BYTE.name: float(hits[:, 1].mean())}
        return {name: scores[name] for name in self.task.metrics if name in scores}

    def details(self, predictions: Sequence[Any], encoded: Encoded) -> list[Detail]:
        """Return, of choices, scores of each and what is taken for what."""
        if not self.task.labels:
            return []
        likelihoods = stacked(predictions)[:, 1]
        chosen = [likelihoods[one["first"] : one["first"] + len(self.task.labels)].argmax() for one in encoded.references]
        return of_classes(np.array([one["true"] for one in encoded.references]), np.array(chosen), self.task.labels, "answer")

    @property
    def written_metrics(self) -> tuple[Metric, ...]:
        """Those of all texts, unless answers are chosen."""
        return () if self.task.labels else text_metrics()

    def write(self, model: "nn.Module", encoded: Encoded) -> list[Written]:
        """Return the answers to prompts, unless there are none: all is learnt, or answers are chosen."""
        if self.task.labels:
            return []
        prompted = list(_prompted(encoded))
        if not prompted:
            return []
        rows, references = zip(*prompted, strict=True)
        prompts = [encoded.processor.decode(row, skip_special_tokens=True) for row in rows]
        return [Written(*one) for one in zip(prompts, self._continued(model, encoded.processor, rows), references, strict=True)]

    def _continued(self, model: "nn.Module", processor: Any, prompts: Sequence[list[int]]) -> list[str]:
        """Return what a model writes after prompts, given as token ids."""
        return continuations(model, processor, prompts, most_new_tokens(self.task))

    def of_examples(self, predictions: Sequence[Any], encoded: Encoded, examples: Sequence[int]) -> tuple[Sequence[Any], Encoded]:
        """Return the references of some examples, which say where their rows are; the rows stay as they are."""
        return predictions, replace(encoded, references=[encoded.references[index] for index in examples])

    def trivial_scores(self, split: "Split") -> dict[str, float]:
        """Return the share of the most frequent completion where answers are choices."""
        if not self.task.labels:
            return {}
        share = max(sum(target == label for target in split.targets) for label in self.task.labels) / len(split)
        return {name: share for name in (_CHOICE.name, _CHOICE_PER_BYTE.name) if name in self.task.metrics}

    # Answers to examples that have none

    def placeholders(self, table: "Table") -> list[Any]:
        """Return a completion for each row."""
        return [self.task.labels[0] if self.task.labels else completions.UNKNOWN] * len(table)

    def read_unlabelled(self, table: "Table") -> "Split":
        """Return prompts alone. A conversation ends with the turn that is to be answered; a text is to be continued."""
        if not self._is_conversation:
            return super().read_unlabelled(table)
        return completions.read_openings(table, self.task.input_columns[0])

    def answers(
        self, model: "nn.Module", processor: Any, split: "Split", max_length: int, predict: Callable[["nn.Module", Encoded], Sequence[Any]]
    ) -> list[dict[str, Any]]:
        """Return the most likely choice where answers are choices, else what the model writes."""
        if self.task.labels:
            return super().answers(model, processor, split, max_length, predict)
        wholes = [put_together(processor, prompt, gap + one) for prompt, gap, one in self._pairs(split, processor)]
        prompts = [processor(one.text[: one.answer[0]], add_special_tokens=not one.is_chat)["input_ids"][-max_length:] for one in wholes]
        return [{"prediction": text} for text in self._continued(model, processor, [ids or [_first_token(processor)] for ids in prompts])]

    def answers_of(self, predictions: Sequence[Any], encoded: Encoded) -> list[dict[str, Any]]:
        """Return the choice of the largest likelihood, and the share of each in all of them."""
        from scipy.special import softmax

        likelihoods, labels, found = stacked(predictions)[:, 1], self.task.labels, []
        for one in encoded.references:
            row = likelihoods[one["first"] : one["first"] + len(labels)]
            each = dict(zip(labels, softmax(row).round(6).tolist(), strict=True))
            found.append({"prediction": labels[int(row.argmax())], "probabilities": each})
        return found

    # An export

    @property
    def target_in_words(self) -> str:
        """What is written."""
        choices = f", one of {', '.join(f'`{label}`' for label in self.task.labels)}" if self.task.labels else ""
        return f"the text that follows{choices}"

    @property
    def example(self) -> "Split":
        """Two prompts with completions."""
        from autopeft.tasks.task import Split

        prompts = ["An example.", "Another example of more words."]
        columns = (["", ""],) if self._is_conversation else (prompts,) * len(self.task.input_columns)
        return Split(columns, ["An answer.", "Another answer."])

    def usage(self, max_length: int) -> str:
        """Return a greedy continuation of a prompt."""
        if self._is_conversation:
            prompt = '"Once upon a time"'
        elif self.task.input_columns == ("prompt",):
            prompt = '"The prompt."'
        else:
            prompt = repr("\n".join([*(f"{name}: The {name}." for name in self.task.input_columns), f"{self.task.target_column}:"]))
        chat = '"\\n\\n".join([' + ", ".join(repr(f"The {name}.") for name in self.task.input_columns) + "])"
        return (
            "if tokenizer.chat_template:\n"
            f'    turns = [{{"role": "user", "content": {chat}}}]\n'
            "    prompt = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)\n"
            f"else:\n    prompt = {prompt}\n"
            'inputs = tokenizer(prompt, return_tensors="pt", add_special_tokens=not tokenizer.chat_template)\n'
            "ids, mask = inputs['input_ids'], inputs['attention_mask']\n"
            f"options = dict(max_new_tokens={most_new_tokens(self.task)}, do_sample=False)\n"
            "with torch.no_grad():\n    output = model.generate(input_ids=ids, attention_mask=mask, **options)\n"
            "print(tokenizer.decode(output[0, ids.shape[1] :], skip_special_tokens=True))"
        )

    def prompts(self, processor: Any, split: "Split", max_length: int) -> Any:
        """Yield prompts and completions as they are trained on; turns stay turns."""
        for prompt, gap, completion in self._pairs(split, processor):
            if not prompt:
                yield {"text": completion}
            elif isinstance(prompt, str) and not getattr(processor, "chat_template", None):
                yield {"prompt": prompt, "completion": gap + completion}
            else:
                turns = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else [dict(turn) for turn in prompt]
                yield {"prompt": turns, "completion": [{"role": ASSISTANT, "content": completion}]}


def _token_losses(outputs: Any, batch: Batch) -> "tuple[Tensor, tuple[Tensor, ...]]":
    """Return the losses of the learnt tokens of a batch in float32, and where they stand: rows and positions."""
    from torch.nn import functional

    ids = batch.targets[..., 0]
    places = (ids != _IGNORED).nonzero(as_tuple=True)
    return functional.cross_entropy(outputs.logits[places].float(), ids[places], reduction="none"), places


def _prompted(encoded: Encoded) -> Iterator[tuple[list[int], str]]:
    """Yield the prompt's tokens and the answer of each example that has a prompt."""
    for one in encoded.references:
        row = encoded.rows[one["first"]]
        first = next(place for place, mark in enumerate(row["learnt"]) if mark == ANSWER)
        if first > 1:  # behind a start token there is a prompt
            yield row["input_ids"][:first], one["text"]


def _hits(likelihoods: Any, one: Mapping[str, Any]) -> tuple[bool, bool]:
    """Return whether the true choice is the likeliest, and whether it is per byte."""
    per_byte = likelihoods / np.maximum(1, one["bytes"])
    return int(likelihoods.argmax()) == one["true"], int(per_byte.argmax()) == one["true"]


def _first_token(tokenizer: Any) -> int:
    """Return what a text without a prompt begins with."""
    return next(int(one) for one in (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) if one is not None)
