"""What a search trades off: each objective's name, direction and unit, and whether it is known before training.

This is the only place where a sign flips: everything that compares points takes *losses*, in which smaller is better.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from autopeft.errors import InvalidInputError

Direction = Literal["minimize", "maximize"]


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
    def sign(self) -> float:
        """Factor that turns a value into a loss."""
        return -1.0 if self.direction == "maximize" else 1.0


TRAINABLE_PARAMETERS = Objective("trainable_parameters", "minimize", "parameters", known=True)


def losses(objectives: Sequence[Objective], values: Sequence[Mapping[str, float]]) -> NDArray[np.float64]:
    """Return the n x m matrix of losses of n trials on m objectives.

    Args:
        objectives: The m objectives.
        values: One mapping from objective name to value per trial.
    """
    rows = [[objective.sign * float(value[objective.name]) for objective in objectives] for value in values]
    return np.array(rows, dtype=np.float64).reshape(len(values), len(objectives))
