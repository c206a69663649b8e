"""Spans in sequences of BIO tags, and how well predicted ones agree with true ones.

A span is a stretch of one type: it begins at B-X, or at I-X that doesn't go on from X, and ends before the next that isn't I-X. For
sequences that keep to IOB2 this is the only reading; for others it is that of conlleval, and of seqeval's default mode.
"""

from collections.abc import Sequence

Span = tuple[int, int, str]
"""First word, the one after the last, and type."""
OUTSIDE = "O"


def is_bio(tags: Sequence[str]) -> bool:
    """Return whether names of tags are those of spans: "O", and at least one of "B-X", "I-X"."""
    return any(tag != OUTSIDE for tag in tags) and all(tag == OUTSIDE or (tag[:2] in ("B-", "I-") and len(tag) > 2) for tag in tags)


def spans(tags: Sequence[str]) -> set[Span]:
    """Return the spans of one sequence."""
    found: set[Span] = set()
    begin, kind = 0, ""
    for place, tag in enumerate([*tags, OUTSIDE]):
        if kind and (tag == OUTSIDE or tag.startswith("B-") or tag[2:] != kind):
            found.add((begin, place, kind))
            kind = ""
        if tag != OUTSIDE and not kind:
            begin, kind = place, tag[2:]
    return found


def precision_recall_f1(true: Sequence[set[Span]], predicted: Sequence[set[Span]]) -> tuple[float, float, float]:
    """Return precision, recall and F1 over all sequences, 0 where undefined. A span counts only with both ends and its type."""
    hits = sum(len(one & other) for one, other in zip(true, predicted, strict=True))
    n_true, n_predicted = sum(map(len, true)), sum(map(len, predicted))
    return hits / max(1, n_predicted), hits / max(1, n_true), 2 * hits / max(1, n_true + n_predicted)
