"""Generated texts: how they are made, how long they may be, and what they look like beside their references."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

from autopeft.errors import InvalidInputError
from autopeft.tasks.details import Detail, of_texts
from autopeft.tasks.text_scores import rouge_l

if TYPE_CHECKING:
    from torch import Tensor, nn

    from autopeft.tasks.task import Task

BATCH = 16
"""Texts that are generated at once."""
MAX_NEW_TOKENS = 64
"""Tokens after which a text is cut off, where nobody says how many."""
_MOST = "max_new_tokens"
SETTINGS_FORM: Any = {_MOST: Annotated[int, 1]}
"""`Family.settings_form` of kinds of task whose texts may be as long as a task's settings say."""


def of_at_most(task: "Task", n_tokens: int) -> "Task":
    """Return a task whose texts are cut off after so many tokens.

    Raises:
        InvalidInputError: There is not one.
    """
    if n_tokens < 1:
        raise InvalidInputError("a text must have a token or more", value=n_tokens, remedy="Give another --max-new-tokens.")
    return replace(task, settings={**task.settings, _MOST: n_tokens})


def asked_new_tokens(task: "Task") -> int | None:
    """Return how many tokens a text of the task may have by what a user said; None if nobody did."""
    return task.settings.get(_MOST)


def most_new_tokens(task: "Task") -> int:
    """Return how many tokens a text of the task may have."""
    return asked_new_tokens(task) or MAX_NEW_TOKENS


def room_to_write(model: "nn.Module", most: int) -> tuple[int | None, int]:
    """Return how many tokens a model that continues its input may read at most, and how many of at most so many it may write then.

    Where its positions are counted, a prompt's among them, half of few positions are for what is read. None: any number.
    """
    n_positions = getattr(model.config, "max_position_embeddings", None)
    if not isinstance(n_positions, int):
        return None, most
    left = n_positions - getattr(getattr(model, "autopeft_prompt", None), "length", 0)
    n_new = max(1, min(most, left // 2))
    return max(1, left - n_new), n_new


def decoder_room(model: "nn.Module", most: int) -> int:
    """Return how many of at most so many tokens the decoder of an encoder-decoder may write.

    Its positions may be counted apart from the encoder's, as LED's are, or in a configuration of its own. The first is for the start token.
    """
    config = getattr(model.config, "decoder", model.config)
    n_positions = getattr(config, "max_decoder_position_embeddings", getattr(config, "max_position_embeddings", None))
    return max(1, min(most, n_positions - 1)) if isinstance(n_positions, int) else most


def generate(model: "nn.Module", tokenizer: Any, inputs: "Sequence[dict[str, Tensor]]", n_new: int, *, continues: bool) -> list[str]:
    """Return what a model writes, greedily, for each batch of inputs.

    Args:
        model: A model that generates.
        tokenizer: Its tokenizer.
        inputs: Batches of arguments, padded on the left where the output continues the input.
        n_new: Tokens after which a text is cut off.
        continues: Whether the output begins with the input, which is left out then.
    """
    import torch

    found: list[str] = []
    maker: Any = model
    with torch.inference_mode():
        for batch in inputs:
            output = maker.generate(**batch, max_new_tokens=n_new, do_sample=False, num_beams=1, pad_token_id=tokenizer.pad_token_id)
            new = output[:, batch["input_ids"].shape[1] :] if continues else output
            found += tokenizer.batch_decode(new, skip_special_tokens=True)
    return [text.strip() for text in found]


def continuations(model: "nn.Module", tokenizer: Any, prompts: Sequence[list[int]], n_new: int) -> list[str]:
    """Return what a language model writes, greedily and in at most so many tokens, after each prompt, given as token ids."""
    device = next(model.parameters()).device
    most, n_new = room_to_write(model, n_new)
    prompts = [ids[-most:] if most else ids for ids in prompts]  # as in training, what is too long loses its beginning
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    inputs = []
    for start in range(0, len(order), BATCH):
        chunk = [prompts[index] for index in order[start : start + BATCH]]
        fields = tokenizer.pad({"input_ids": chunk}, padding_side="left", return_tensors="pt")
        inputs.append({name: fields[name].to(device) for name in ("input_ids", "attention_mask")})
    made = generate(model, tokenizer, inputs, n_new, continues=True)
    return [text for _, text in sorted(zip(order, made, strict=True))]


@dataclass(frozen=True)
class Written:
    """A text that a model wrote."""

    source: str
    """What it was given."""
    text: str
    reference: str
    """What it should have written."""


def details_of(written: "Sequence[Written]") -> list[Detail]:
    """Return some of the texts beside their references."""
    rows = [(one.source, one.reference, one.text, round(rouge_l(one.text, one.reference), 4)) for one in written]
    return [of_texts("Generated texts", ("given", "reference", "written", "ROUGE-L"), rows)] if rows else []
