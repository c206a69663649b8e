"""How well texts that models write agree with references, by scores that every task with texts has and by a user's own.

ROUGE-L (Lin 2004, W04-1013) is the F1 of the longest common subsequence of words, lower-cased and without a stemmer, as the
rouge_score package computes it. Exact match compares texts without the spaces around them; a number matches where it is the last one of
both texts, as answers to GSM8K are compared (Cobbe et al. 2021, arXiv 2110.14168). All of these are means over texts of values from 0 to 1.

BLEU (Papineni et al. 2002, P02-1040) and chrF (Popović 2015, W15-3049) are of all texts together, between 0 and 100, sacrebleu's with its
default settings; they need the extra `translation`.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from importlib.util import find_spec

import numpy as np

from autopeft.errors import InvalidInputError, UnavailableError
from autopeft.objectives import COSTS, Direction
from autopeft.tasks.metric import LOSS, Metric
from autopeft.tasks.metrics import CLASSIFICATION, MULTI_LABEL, REGRESSION, Floats
from autopeft.tasks.transcripts import CER, WER

TextScore = Callable[[str, str], float]
"""Returns how well a text agrees with its reference, from 0 to 1."""
BLEU, CHRF = (Metric(name, is_written=True) for name in ("bleu", "chrf"))
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


def exact_match(text: str, reference: str) -> float:
    """Return 1 if two texts are the same but for the spaces around them, else 0."""
    return float(text.strip() == reference.strip())


def number_match(text: str, reference: str) -> float:
    """Return 1 if the last number of a text is that of the reference, else 0; commas between digits don't count."""
    found, wanted = (_NUMBER.findall(one) for one in (text, reference))
    return float(bool(found and wanted) and _value(found[-1]) == _value(wanted[-1]))


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


_BUILT_IN = {score.__name__: (Metric(score.__name__, is_written=True), score) for score in (exact_match, rouge_l, number_match)}
_known: dict[str, tuple[Metric, TextScore]] = dict(_BUILT_IN)


def register_text_metric(name: str, score: TextScore, direction: Direction = "maximize") -> None:
    """Make an own score of written texts known in this process: its mean over texts is reported, and may be an objective.

    Args:
        name: What to call it, such as "valid_json": small letters, digits and underscores.
        score: Returns what a text is worth beside its reference, a number from 0 to 1.
        direction: Which way is better.

    Raises:
        InvalidInputError: The name is taken, or is none.
    """
    built_in = {metric.name for metric in (LOSS, BLEU, CHRF, WER, CER)} | {"perplexity", *CLASSIFICATION, *REGRESSION, *MULTI_LABEL}
    if name in built_in | _known.keys() | COSTS.keys():
        raise InvalidInputError("a text metric's name must not be taken", value=name)
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise InvalidInputError("a text metric's name must be of small letters, digits and underscores", value=name)
    _known[name] = Metric(name, direction, is_written=True), score


def text_metrics() -> tuple[Metric, ...]:
    """Return what every task with texts can be searched by: built-in scores, and those that a user registered."""
    return tuple(metric for metric, _ in _known.values())


def own_text_metrics() -> tuple[Metric, ...]:
    """Return those that a user registered."""
    return tuple(metric for name, (metric, _) in _known.items() if name not in _BUILT_IN)


def scores_of_each(texts: Sequence[str], references: Sequence[str], metrics: Iterable[Metric]) -> dict[str, Floats]:
    """Return text metrics of each of n texts, by name.

    Raises:
        InvalidInputError: An own score raised an error, or is no number from 0 to 1.
    """
    pairs = list(zip(texts, references, strict=True))
    return {metric.name: np.array([_score(metric.name, *pair) for pair in pairs]) for metric in metrics}


def means(scores: Mapping[str, Floats]) -> dict[str, float]:
    """Return what `scores_of_each` found as metrics of all texts."""
    return {name: float(values.mean()) for name, values in scores.items()}


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


def _score(name: str, text: str, reference: str) -> float:
    """Return a score of a text; numbers may be numpy's or torch's."""
    try:
        value = _known[name][1](text, reference)
    except Exception as error:  # an own score may raise anything
        raise InvalidInputError(f"the text metric {name} raised {type(error).__name__}: {error}") from error
    try:
        number = math.nan if isinstance(value, str | bytes) else float(value)
    except (TypeError, ValueError, RuntimeError):  # the last of a tensor of several numbers
        number = math.nan
    if not 0 <= number <= 1:
        raise InvalidInputError(f"the text metric {name} must return a number from 0 to 1", value=value)
    return number


def _value(number: str) -> Decimal:
    return Decimal(number.replace(",", ""))


def _has_sacrebleu() -> bool:
    return find_spec("sacrebleu") is not None
