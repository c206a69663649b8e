"""What recordings say as text: characters as classes of a CTC output layer, and how far two texts are apart.

| symbol | meaning |
|---|---|
| d(a, b) | Levenshtein distance: fewest insertions, deletions and replacements that make b of a |

Error rate = sum over texts of d(written, reference) / sum of the references' lengths, in words (WER) or characters (CER); it exceeds 1
where much is written that isn't there. Class 0 is CTC's blank (Graves et al. 2006, doi 10.1145/1143844.1143891).
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np

from autopeft.tasks.metric import Metric

BLANK = 0
WER, CER = Metric("word_error_rate", "minimize"), Metric("character_error_rate", "minimize")
_REMEMBERED = 2**17


def characters_of(texts: Sequence[str]) -> str:
    """Return every character that stands in some text, in order; the k-th is class k + 1."""
    return "".join(sorted(set("".join(texts))))


def classes_of(text: str, characters: str) -> list[int]:
    """Return a text's classes; characters without a class are left out."""
    place = {character: index for index, character in enumerate(characters, 1)}
    return [place[character] for character in text if character in place]


def collapsed(classes: Sequence[int], characters: str) -> str:
    """Return the text of one class a frame: repeated ones count once, blanks not at all."""
    kept = [one for one, before in zip(classes, [BLANK, *classes], strict=False) if one != before and one != BLANK]
    return "".join(characters[one - 1] for one in kept)


def fewest_frames(classes: Sequence[int]) -> int:
    """Return in how many frames classes can be written: one each, and a blank between two of the same."""
    return len(classes) + sum(one == other for one, other in pairwise(classes))


def word_error_rate(texts: Sequence[str], references: Sequence[str]) -> float:
    """Return the share of words that must change; words are what spaces separate."""
    pairs = [(tuple(text.split()), tuple(reference.split())) for text, reference in zip(texts, references, strict=True)]
    return sum(_distance(*pair) for pair in pairs) / max(1, sum(len(reference) for _, reference in pairs))


def character_error_rate(texts: Sequence[str], references: Sequence[str]) -> float:
    """Return the share of characters that must change, spaces among them."""
    pairs = [(tuple(text.strip()), tuple(reference.strip())) for text, reference in zip(texts, references, strict=True)]
    return sum(_distance(*pair) for pair in pairs) / max(1, sum(len(reference) for _, reference in pairs))


@lru_cache(maxsize=_REMEMBERED)  # the same texts are scored anew for every draw of a bootstrap
def _distance(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    number: dict[str, int] = {}
    first, second = (np.array([number.setdefault(part, len(number)) for part in parts], dtype=np.int64) for parts in (one, other))
    places = np.arange(len(second) + 1)
    row = places.copy()
    for count, part in enumerate(first, 1):
        changed = np.minimum(row[1:] + 1, row[:-1] + (second != part))
        # Insertions go on from any earlier place: the least of row[k] + (j - k) over k <= j.
        row = np.minimum.accumulate(np.concatenate([[count], changed]) - places) + places
    return int(row[-1])
