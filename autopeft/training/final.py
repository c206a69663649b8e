"""Training at full budget: of all epochs the one is kept that is best on validation data."""

import math
from collections.abc import Mapping

import torch

from autopeft.tasks import Family
from autopeft.training.loop import DivergedError
from autopeft.training.measurement import CurvePoint


class BestEpoch:
    """Keeps the trained tensors of the best measurement so far.

    Args:
        parameters: What is trained and what training decides, by name.
        family: Says which of two measurements is better.
    """

    def __init__(self, parameters: Mapping[str, torch.Tensor], family: Family) -> None:
        self._parameters, self._family = parameters, family
        self._rank = (-math.inf, -math.inf)
        self._point: CurvePoint | None = None
        self._tensors: dict[str, torch.Tensor] = {}

    def offer(self, point: CurvePoint) -> bool:
        """Look at a measurement of the parameters as they are now; return whether it is the best so far."""
        rank = self._family.rank(point.metrics)
        if not rank > self._rank:  # also where it is not a number
            return False
        self._rank, self._point = rank, point
        self._tensors = {name: parameter.detach().clone() for name, parameter in self._parameters.items()}
        return True

    @torch.no_grad()
    def restore(self) -> CurvePoint:
        """Give the parameters their best values back and return what was measured with them.

        Raises:
            DivergedError: No measurement was a finite number.
        """
        if self._point is None:
            raise DivergedError("training diverged: no epoch has finite scores", remedy="Lower the learning rate.")
        for name, parameter in self._parameters.items():
            parameter.copy_(self._tensors[name])
        return self._point
