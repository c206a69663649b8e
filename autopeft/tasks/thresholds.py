"""The score above which a label is given, tuned on examples with known labels.

| symbol | meaning | shape |
|---|---|---|
| s | scores | n |
| y | whether a label is right | n |
| t | threshold: labels with s > t are given | - |

F1(t) = 2 #{y and s > t} / (#{s > t} + #{y}). Its largest value is reached where labels are given that are right with a probability of at
least half that value (Lipton et al. 2014, arXiv 1402.1892), which is below one half.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def best_threshold(scores: NDArray[np.float64], labels: NDArray[Any]) -> float:
    """Return the t of the largest F1, in the middle between two scores; 0 where no label is right."""
    order = np.argsort(-scores, kind="stable")
    ranked, is_right = scores[order], np.asarray(labels)[order] > 0
    if not is_right.any():
        return 0.0
    hits, given = np.cumsum(is_right), np.arange(1, len(ranked) + 1)
    f1 = 2 * hits / (given + is_right.sum())
    is_last_of_tie = np.append(np.diff(ranked) != 0, True)
    last = int(np.where(is_last_of_tie, f1, -1.0).argmax())
    return float(ranked[last] - 1 if last == len(ranked) - 1 else (ranked[last] + ranked[last + 1]) / 2)
