"""How alike two configurations are: a Matern kernel that learns how much each flag of a group counts.

Legend:
    n, N    points
    d       coordinates of a point
    G       groups of flags among the coordinates, such as the layers in which modules stand
    f       flags of one group, 0 or 1
    p       the coordinates that are in no group, d minus all flags, plus G
    w       weights of the flags in one group, positive
    u(x)    p, the plain coordinates, and of each group  log(sum_j w_j f_j / sum_j w_j + 0.03) / 3
    l, q    p and d, length scales
    r       share of the residual
    M(t)    (1 + sqrt(5) t + 5/3 t^2) exp(-sqrt(5) t)        (Rasmussen, Williams, 2006, equation 4.17)

    k(a, b) = (1 - r) M(|(u(a) - u(b)) / l|) + r M(|(a - b) / q|);        without groups, k(a, b) = M(|(a - b) / l|)

A few layers make most of a configuration's quality, and which they are is what a search must find out. Alike in every flag is too
narrow a notion for that: 12 layers have 4,096 masks. Instead each layer has a weight, and masks are alike if the weights of what
they switch on sum to about the same; the logarithm because returns diminish. The residual takes up what such a sum can't say.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

FLOOR, LOG_RANGE = 0.03, 3.0
"""Of the logarithm of a share: log 0.03 is about -3."""
LENGTH_SPREAD = math.sqrt(3)
"""Of the prior over a length scale's logarithm, around sqrt(2) + log(d) / 2 (Hvarfner, Hellsten, Nardi, 2024, arXiv:2402.02229)."""
WEIGHT_SPREAD = 1.5
"""Of the prior over a weight's logarithm: some layers may well count ten times as much as others."""


@dataclass(frozen=True)
class Prior:
    """Independent log-normal priors over positive hyper-parameters."""

    name: str
    size: int
    centre: float
    """Mean of the logarithm."""
    spread: float
    """Standard deviation of the logarithm."""
    start: float
    """Logarithm from which a fit starts."""


def length_prior(name: str, size: int) -> Prior:
    """Return the prior over as many length scales; it grows with their number, for far apart is further in more dimensions."""
    centre = math.sqrt(2) + math.log(size) / 2
    return Prior(name, size, centre, LENGTH_SPREAD, centre - LENGTH_SPREAD**2)


@dataclass(frozen=True)
class Kernel:
    """The kernel of points of some width; its value at 0 is 1.

    Args:
        width: d.
        groups: The coordinates of each group of flags; a coordinate is in one group at most.
    """

    width: int
    groups: tuple[tuple[int, ...], ...] = ()

    @cached_property
    def priors(self) -> list[Prior]:
        """The hyper-parameters, by name: lengths, and with groups also weights, residual_lengths and residual_odds, r / (1 - r)."""
        lengths = length_prior("lengths", len(self._plain) + len(self.groups))
        if not self.groups:
            return [lengths]
        n_flags = sum(map(len, self.groups))
        return [
            lengths,
            Prior("weights", n_flags, 0.0, WEIGHT_SPREAD, 0.0),
            length_prior("residual_lengths", self.width),
            Prior("residual_odds", 1, -1.0, 1.0, -2.0),
        ]

    def __call__(self, a: Tensor, b: Tensor, hyper: Mapping[str, Tensor]) -> Tensor:
        """Return the n x N values of k between n x d and N x d points."""
        if not self.groups:
            return _matern(a / hyper["lengths"], b / hyper["lengths"])
        main = _matern(self._shares(a, hyper["weights"]) / hyper["lengths"], self._shares(b, hyper["weights"]) / hyper["lengths"])
        rest = _matern(a / hyper["residual_lengths"], b / hyper["residual_lengths"])
        odds = hyper["residual_odds"]
        return (main + odds * rest) / (1 + odds)

    @cached_property
    def _plain(self) -> list[int]:
        flags = {column for group in self.groups for column in group}
        return [column for column in range(self.width) if column not in flags]

    def _shares(self, points: Tensor, weights: Tensor) -> Tensor:
        """Return u."""
        parts = [points[:, self._plain]]
        for group, each in zip(self.groups, torch.split(weights, [len(group) for group in self.groups]), strict=True):
            share = points[:, list(group)] @ (each / each.sum())
            parts.append((share + FLOOR).log()[:, None] / LOG_RANGE)
        return torch.cat(parts, dim=1)


def flag_kernel(width: int, groups: Sequence[Sequence[int]]) -> Kernel:
    """Return the kernel of points of some width; groups of fewer than two flags count as plain coordinates."""
    return Kernel(width, tuple(tuple(group) for group in groups if len(group) > 1))


def _matern(a: Tensor, b: Tensor) -> Tensor:
    # The other mode of cdist is inexact near 0, where neighbours of a point are.
    distance = math.sqrt(5) * torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
    return (1 + distance + distance.square() / 3) * torch.exp(-distance)
