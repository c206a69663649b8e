"""How the learning rate goes over a training.

Each is a factor in [0, 1] on the learning rate: linear from 0 up over the warm-up, then a function of the share in [0, 1) of the steps
after it that are done.
"""

import math
from collections.abc import Callable, Mapping

STABLE_SHARE = 0.8
"""Share of the steps after the warm-up for which `stable_decay` stays; then it falls linearly (Hu et al., 2024, arXiv 2404.06395)."""

_AFTER_WARM_UP: Mapping[str, Callable[[float], float]] = {
    "linear": lambda share: 1 - share,
    "cosine": lambda share: (1 + math.cos(math.pi * share)) / 2,
    "constant": lambda share: 1.0,
    "stable_decay": lambda share: min(1.0, (1 - share) / (1 - STABLE_SHARE)),
}


def schedule(name: str, step: int, n_steps: int, warmup_fraction: float) -> float:
    """Return the factor on the learning rate at a step, counted from 0."""
    warmup = round(warmup_fraction * n_steps)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if name == "linear":  # without a division of its own, which would round otherwise
        return max(0.0, (n_steps - step) / max(1, n_steps - warmup))
    return max(0.0, _AFTER_WARM_UP[name](min(1.0, (step - warmup) / max(1, n_steps - warmup))))
