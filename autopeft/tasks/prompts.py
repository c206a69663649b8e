"""Prompts and completions as token ids, with the tokens that are learnt from: those of the completion, and never of the prompt.

Where a tokenizer has a chat template, prompts are turns of a conversation; else the text is continued as it stands.
Which tokens belong to a completion is worked out from characters: the text is put together with and without the answer, and a token is
learnt that ends behind the place where both stop being the same. Templates rarely say it themselves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autopeft.errors import InvalidInputError, UnsupportedError

Message = Mapping[str, str]
Prompt = str | Sequence[Message]
"""A text to continue, or the turns of a conversation before the answer."""
ASSISTANT = "assistant"
LEARNT, ANSWER = 1, 2
"""Marks of a token that is learnt, and of one that besides stands for characters of the last completion, and not for its end."""


@dataclass(frozen=True)
class Encodable:
    """A text, and which of its characters are to be learnt."""

    text: str
    spans: tuple[tuple[int, int], ...]
    """First character and the one after the last, of every stretch that is learnt."""
    answer: tuple[int, int]
    """The same of the last completion itself."""
    is_chat: bool
    """Whether the template has put every special token into the text."""


def put_together(tokenizer: Any, prompt: Prompt, completion: str, *, all_turns: bool = False) -> Encodable:
    """Return a prompt with its completion as one text.

    Args:
        tokenizer: A transformers tokenizer.
        prompt: What comes before the completion. A text is put to a chat model as the user's turn.
        completion: The answer.
        all_turns: Whether the assistant's earlier turns are learnt too.

    Raises:
        UnsupportedError: Turns of a conversation are given and there is no chat template.
        InvalidInputError: The template refuses the conversation.
    """
    has_template = bool(getattr(tokenizer, "chat_template", None))
    if isinstance(prompt, str) and (not has_template or not prompt):  # without a prompt it is no conversation
        end = tokenizer.eos_token or ""
        text = prompt + completion + end
        return Encodable(text, ((len(prompt), len(text)),), (len(prompt), len(prompt) + len(completion)), is_chat=False)
    if not has_template:
        raise UnsupportedError(
            "a conversation needs a chat template, and the model's tokenizer has none",
            remedy="Give a model with a template, or columns with a prompt and a completion as texts.",
        )
    turns = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else [dict(turn) for turn in prompt]
    turns.append({"role": ASSISTANT, "content": completion})
    text = _rendered(tokenizer, turns)
    answers = [index for index, turn in enumerate(turns) if turn["role"] == ASSISTANT] if all_turns else [len(turns) - 1]
    spans = []
    for index in answers:
        before = _rendered(tokenizer, turns[:index], answer_follows=True) if index else ""
        after = text if index == len(turns) - 1 else _rendered(tokenizer, turns[: index + 1])
        if index < len(turns) - 1 and not (text.startswith(before) and text.startswith(after)):
            continue  # some templates write earlier turns otherwise, such as without their reasoning
        spans.append((_common(before, text), len(after)))
    start = spans[-1][0]
    return Encodable(text, tuple(spans), (start, start + len(completion)), is_chat=True)


def _common(one: str, other: str) -> int:
    """Return how many characters two texts begin with alike."""
    return next((place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _rendered(tokenizer: Any, turns: Sequence[Message], *, answer_follows: bool = False) -> str:
    try:
        text = tokenizer.apply_chat_template(list(turns), tokenize=False, add_generation_prompt=answer_follows)
    except Exception as error:  # a template is a program, and raises what it likes
        raise InvalidInputError(f"the chat template refuses a conversation: {error}", value=[turn.get("role") for turn in turns]) from error
    return str(text)


def encode(tokenizer: Any, texts: Sequence[Encodable], max_length: int) -> tuple[list[dict[str, list[int]]], NDArray[np.int64]]:
    """Return texts as token ids, with a mask of the tokens that are learnt, and how many tokens each has before it is cut.

    What is too long loses its beginning, down to the last stretch that is learnt; a text of which everything is learnt loses its end.

    Args:
        tokenizer: A transformers tokenizer that says which characters a token is of.
        texts: The texts.
        max_length: Tokens that are kept at most.

    Raises:
        UnsupportedError: The tokenizer can't say which characters a token is of.
        InvalidInputError: A completion alone has more tokens, or none.
    """
    if not tokenizer.is_fast:
        raise UnsupportedError(
            "language models need a fast tokenizer, which says which characters a token is of", value=type(tokenizer).__name__
        )
    rows, whole = [], []
    for number, one in enumerate(texts):
        fields = tokenizer(one.text, add_special_tokens=not one.is_chat, return_offsets_mapping=True)
        ids, offsets = list(fields["input_ids"]), fields["offset_mapping"]
        marks = [_mark(start, end, one) for start, end in offsets]
        whole.append(len(ids))
        first, last = 0, len(ids)
        if len(ids) > max_length:
            if one.spans and one.spans[0][0] == 0:
                last = max_length
            else:
                first = len(ids) - max_length
                if max_length < 2 or (one.spans and all(marks[first:])):
                    raise InvalidInputError(
                        f"example {number + 1}: a completion must leave room for at least one token of its prompt",
                        value=f"{sum(map(bool, marks))} of {max_length} tokens",
                        remedy="Raise --max-length, or leave the example out.",
                    )
        row = {"input_ids": ids[first:last], "attention_mask": [1] * (last - first), "learnt": marks[first:last]}
        # The first token has none before it to be predicted from.
        if not any(row["learnt"][1:]):
            raise InvalidInputError(
                f"example {number + 1}: there must be a token to learn", value=one.text[:80], remedy="Fill the completion, or leave it out."
            )
        rows.append(row)
    return rows, np.array(whole, dtype=np.int64)


def _mark(start: int, end: int, text: Encodable) -> int:
    """Return what a token is of that stands for these characters."""
    if not any(start < last and end > first for first, last in text.spans):
        return 0
    return ANSWER if start < text.answer[1] and end > text.answer[0] else LEARNT
