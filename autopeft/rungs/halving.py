"""Asynchronous successive halving for several objectives."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from autopeft.errors import InvalidInputError
from autopeft.rungs.ranking import best_first


@dataclass(frozen=True)
class Standing:
    """How far a trial has come."""

    trial: int
    """The trial's number."""
    losses: tuple[tuple[float, ...], ...]
    """Per rung that it was measured at, the m losses there; empty before the first rung, NaN for what went wrong."""
    waiting: bool
    """Whether it is paused at the last of those rungs."""


@dataclass(frozen=True)
class SuccessiveHalving:
    """A trial that reaches a rung waits there until it is among the best of all that have been measured there.

    This is MO-ASHA (Schmucker et al. 2021, arXiv 2106.12639): ASHA (Li et al. 2020, arXiv 1810.05934), which never waits for a rung
    to fill, over an order by Pareto rank. It holds no state: what it decides follows from the standings.

    Raises:
        InvalidInputError: Rungs are not rising shares below 1, or the reduction is not above 1.
    """

    rungs: tuple[float, ...]
    """Shares of a budget's steps at which trials pause, rising; the end of the budget is not among them."""
    reduction: float = 3.0
    """One in so many goes on from each rung."""

    def __post_init__(self) -> None:
        shares = (0.0, *self.rungs, 1.0)
        if not all(low < high for low, high in pairwise(shares)):
            raise InvalidInputError("rungs must be rising shares of the budget between 0 and 1", value=self.rungs, remedy="Try 0.17,0.5.")
        if not self.reduction > 1:
            raise InvalidInputError("the reduction must be more than 1: one in so many goes on", value=self.reduction)

    def next_stop(self, n_rungs: int) -> float:
        """Return the share of the budget to which a trial runs that has been measured at so many rungs."""
        return (*self.rungs, 1.0)[n_rungs]

    def promotion(self, standings: Sequence[Standing]) -> int | None:
        """Return the number of a waiting trial that has earned to go on, from the highest rung that has one; None if there is none."""
        for rung in reversed(range(len(self.rungs))):
            measured = [standing for standing in standings if len(standing.losses) > rung]
            n_best = int(len(measured) / self.reduction)
            order = best_first(np.array([standing.losses[rung] for standing in measured])) if n_best else []
            for index in order[:n_best]:
                if measured[index].waiting and len(measured[index].losses) == rung + 1:
                    return measured[index].trial
        return None

    def best_waiting(self, standings: Sequence[Standing]) -> int | None:
        """Return the number of the best of those that wait at the highest rung where any does; None if none waits."""
        waiting = [standing for standing in standings if standing.waiting]
        highest = max((len(standing.losses) for standing in waiting), default=0)
        there = [standing for standing in waiting if len(standing.losses) == highest]
        return there[best_first(np.array([standing.losses[-1] for standing in there]))[0]].trial if there else None
