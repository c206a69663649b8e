"""What trials that stopped or wait before their end say of the values that they would have reached.

Legend:
    n, p     observed trials, parameters
    t        fidelities at which a trial was measured, such as the share of its budget
    v, y     an early value of an objective, and its final one

For each t, the trials that were measured there and went on to the end give pairs (v, y), and with enough of them a line y = a + b v. A
trial that ended at t is entered with a + b v, and with its t: the surrogate learns from the data how far such entries are to be trusted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from optuna.trial import FrozenTrial

Array = NDArray[np.float64]

MIN_PAIRS = 5
"""Fewer trials than this tell nothing of how early values and final ones go together."""


@dataclass(frozen=True)
class Early:
    """A measurement before a trial's end."""

    fidelities: tuple[float, ...]
    """t: shares of one means or several, all of them at most 1 and one at least below."""
    values: tuple[float, ...]
    """v, one an objective, in any unit: it has only to go with the final value."""


ReadEarly = Callable[[FrozenTrial], Sequence[Early]]
"""A trial's early measurements, the last of which says most."""


def nothing_early(trial: FrozenTrial) -> Sequence[Early]:
    """Say that no trial was measured before its end; a function and not a lambda, so that a sampler that holds it can be pickled."""
    return ()


def extrapolate(early: Sequence[Early], others: Sequence[Sequence[Early]], finals: Array) -> Array | None:
    """Return the m final values that a trial would have reached; None if there is too little to tell by.

    Args:
        early: The trial's measurements; the last counts.
        others: Those of n trials that went on to the end.
        finals: Their final values, n x m.
    """
    last = early[-1]
    pairs = [(one.values, final) for mine, final in zip(others, finals, strict=True) for one in mine if one.fidelities == last.fidelities]
    if len(pairs) < MIN_PAIRS or not np.isfinite(last.values).all():
        return None
    v, y = (np.array(column, dtype=np.float64) for column in zip(*pairs, strict=True))
    return np.array([_line(v[:, j], y[:, j], last.values[j]) for j in range(finals.shape[1])])


def _line(v: Array, y: Array, at: float) -> float:
    usable = np.isfinite(v)
    if usable.sum() < MIN_PAIRS or np.ptp(v[usable]) == 0:
        return float(y.mean())
    slope, intercept = np.polyfit(v[usable], y[usable], 1)
    # No further than what was seen: a line says nothing of what lies far beyond its data.
    return float(np.clip(intercept + slope * at, y.min() - np.ptp(y), y.max() + np.ptp(y)))
