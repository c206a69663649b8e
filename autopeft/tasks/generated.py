"""Generated texts: how they are made, and how well they agree with references.

ROUGE-L (Lin 2004, W04-1013) is the F1 of the longest common subsequence of words, lower-cased and without a stemmer, as the
rouge_score package computes it. Exact match compares texts without the spaces around them. BLEU (Papineni et al. 2002, P02-1040) and chrF
(Popović 2015, W15-3049) are sacrebleu's, between 0 and 100, with its default settings; they need the extra `translation`.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from autopeft.errors import UnavailableError
from autopeft.tasks.details import Detail, of_texts
from autopeft.tasks.metric import Metric

if TYPE_CHECKING:
    from torch import Tensor, nn

    from autopeft.tasks.task import Task

EXACT_MATCH, ROUGE_L, BLEU, CHRF = (Metric(name, is_written=True) for name in ("exact_match", "rouge_l", "bleu", "chrf"))
BATCH = 16
"""Texts that are generated at once."""
MAX_NEW_TOKENS = 64
"""Tokens after which a text is cut off, where nobody says how many."""
_MOST = "max_new_tokens"
SETTINGS_FORM: Any = {_MOST: Annotated[int, 1]}
"""`Family.settings_form` of kinds of task whose texts may be as long as a task's settings say."""


def of_at_most(task: "Task", n_tokens: int) -> "Task":
    """Return a task whose texts are cut off after so many tokens."""
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


def agreement(texts: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """Return exact match and ROUGE-L, means over n texts."""
    pairs = list(zip(texts, references, strict=True))
    return {
        EXACT_MATCH.name: float(np.mean([text.strip() == reference.strip() for text, reference in pairs])),
        ROUGE_L.name: float(np.mean([rouge_l(text, reference) for text, reference in pairs])),
    }


def translation_scores(texts: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """Return BLEU and chrF of n texts together; nothing where sacrebleu isn't installed."""
    if not _has_sacrebleu():
        return {}
    import sacrebleu

    streams = [list(references)]
    scores = sacrebleu.corpus_bleu(list(texts), streams).score, sacrebleu.corpus_chrf(list(texts), streams).score
    return dict(zip((BLEU.name, CHRF.name), scores, strict=True))


def require_package(names: Iterable[str]) -> None:
    """Check that metrics of these names can be computed on this machine.

    Raises:
        UnavailableError: A package isn't installed that they need.
    """
    if (needing := {BLEU.name, CHRF.name}.intersection(names)) and not _has_sacrebleu():
        remedy = "Install it: pip install 'autopeft[translation]'."
        raise UnavailableError("BLEU and chrF need the package sacrebleu", value=", ".join(sorted(needing)), remedy=remedy)


def _has_sacrebleu() -> bool:
    return find_spec("sacrebleu") is not None


def rouge_l(text: str, reference: str) -> float:
    """Return the F1 of the longest common subsequence of two texts' words; 0 where one has none."""
    words, others = (re.sub(r"[^a-z0-9]+", " ", one.lower()).split() for one in (text, reference))
    if not words or not others:
        return 0.0
    lengths = np.zeros(len(others) + 1, dtype=np.int64)
    for word in words:
        before = lengths.copy()
        for place, other in enumerate(others):
            lengths[place + 1] = before[place] + 1 if word == other else max(before[place + 1], lengths[place])
    common = int(lengths[-1])
    return 2 * common / (len(words) + len(others))
