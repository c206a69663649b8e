"""What a search trades off and what it keeps to: names, directions, units, and what is known before training.

This is the only place where a sign flips: everything that compares points takes *losses*, in which smaller is better.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from autopeft.errors import InvalidInputError, UnknownNameError

Direction = Literal["minimize", "maximize"]

MAX_OBJECTIVES = 4
ZERO_GAP_DECADES = 0.45
"""On a logarithmic scale a cost of 0, as when only the head is trained, stands so many decades below the smallest that isn't 0."""
BYTES_PER_PARAMETER = 4
"""A saved adapter holds 32-bit numbers."""


@dataclass(frozen=True)
class Objective:
    """One axis of the trade-off."""

    name: str
    """Key under which a trial's value is stored, such as "accuracy" or "trainable_parameters"."""
    direction: Direction
    """Which way is better."""
    unit: str = ""
    """Unit for axes and tables; empty for a score."""
    known: bool = False
    """Whether the value follows from the configuration alone, without training."""

    def __post_init__(self) -> None:
        if self.direction not in ("minimize", "maximize"):
            raise InvalidInputError("an objective's direction must be minimize or maximize", value=self.direction)

    @property
    def is_cost(self) -> bool:
        """Whether it is one of `COSTS`, which are compared by their ratios: ten times as many parameters weigh the same everywhere."""
        return self.name in COSTS

    @property
    def sign(self) -> float:
        """Factor that turns a value into a loss."""
        return -1.0 if self.direction == "maximize" else 1.0


TRAINABLE_PARAMETERS = Objective("trainable_parameters", "minimize", "parameters", known=True)
ADAPTER_BYTES = Objective("adapter_bytes", "minimize", "bytes", known=True)
"""What a saved adapter's tensors take: those of the PEFT modules and of the task head. The file's index of names comes on top."""
TRAIN_SECONDS = Objective("train_seconds", "minimize", "seconds")
PEAK_BYTES = Objective("peak_bytes", "minimize", "bytes")
LATENCY_SECONDS = Objective("latency_seconds", "minimize", "seconds")

COSTS = {cost.name: cost for cost in (TRAINABLE_PARAMETERS, ADAPTER_BYTES, TRAIN_SECONDS, PEAK_BYTES, LATENCY_SECONDS)}
"""What a trial costs, by name; a task's metrics are the other objectives."""


@dataclass(frozen=True)
class Constraint:
    """An upper bound on a cost. A configuration above the bound on a known one is never proposed; a trial above another is infeasible.

    Raises:
        InvalidInputError: The bound is not a finite number above 0.
    """

    objective: Objective
    upper: float
    """Largest value that is allowed."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.upper) and self.upper > 0):
            raise InvalidInputError(f"the bound on {self.objective.name} must be above 0", value=self.upper)

    def excess(self, value: float) -> float:
        """Return how far a value lies above the bound, as a share of it; 0 or less if it keeps to it."""
        return (value - self.upper) / self.upper


def choose_objectives(names: Sequence[str], metrics: Mapping[str, Direction]) -> tuple[Objective, ...]:
    """Return the objectives of these names, metrics before costs and otherwise in the order given.

    Args:
        names: Metrics of the task, and names from `COSTS`.
        metrics: Which way each metric that the task reports is better, by name.

    Raises:
        UnknownNameError: A name is neither.
        InvalidInputError: There are not 2 to 4, one stands twice, or none is a metric.
    """
    for name in names:
        if name not in metrics and name not in COSTS:
            raise UnknownNameError("objective", name, [*metrics, *COSTS])
    if not 2 <= len(names) <= MAX_OBJECTIVES or len(set(names)) < len(names):
        raise InvalidInputError(f"a search has 2 to {MAX_OBJECTIVES} different objectives", value=", ".join(names))
    scores = [Objective(name, metrics[name]) for name in names if name in metrics]
    if not scores:
        raise InvalidInputError(
            "one objective must be a metric of the task, or nothing would tell good from cheap",
            value=", ".join(names),
            remedy=f"The task reports {', '.join(metrics)}.",
        )
    return (*scores, *(COSTS[name] for name in names if name not in metrics))


def adapter_bytes(trainable_parameters: int, head_parameters: int) -> int:
    """Return the bytes of a saved adapter's tensors."""
    return BYTES_PER_PARAMETER * (trainable_parameters + head_parameters)


def losses(objectives: Sequence[Objective], values: Sequence[Mapping[str, float]]) -> NDArray[np.float64]:
    """Return the n x m matrix of losses of n trials on m objectives.

    Args:
        objectives: The m objectives.
        values: One mapping from objective name to value per trial.
    """
    rows = [[objective.sign * float(value[objective.name]) for objective in objectives] for value in values]
    return np.array(rows, dtype=np.float64).reshape(len(values), len(objectives))


def comparable_losses(objectives: Sequence[Objective], values: Sequence[Mapping[str, float]]) -> NDArray[np.float64]:
    """Return the n x m losses with the decimal logarithm of every cost, as plots show it; arguments as for `losses`.

    Which point of a front bends it most depends on the scale: of parameters that differ a thousandfold only ratios mean anything.
    """
    result = losses(objectives, values)
    for column, objective in enumerate(objectives):
        if objective.is_cost:
            result[:, column] = _logarithms(result[:, column])
    return result


def _logarithms(costs: NDArray[np.float64]) -> NDArray[np.float64]:
    positive = costs > 0
    logs = np.log10(costs, out=np.full_like(costs, np.nan), where=positive)
    zero = (logs[positive].min() if positive.any() else 0.0) - ZERO_GAP_DECADES
    return np.where(costs == 0, zero, logs)
