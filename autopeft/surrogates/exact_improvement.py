"""Expected improvement in closed form: of one loss, and of the hypervolume over two losses of which one is known.

Legend:
    N, K     points, front points
    c        N, known losses of the points
    f        measured loss of a point, f ~ N(mu, sigma^2)
    F        K x 2, front: known loss, measured loss; sorted so that the first rises and the second falls
    r        reference point: r_1 for the known loss, r_2 for the measured one
    h_k      height of the staircase over [t_k, t_(k+1)): h_0 = r_2, h_k = F_(k,2); t_0 = -inf, t_k = F_(k,1), t_(K+1) = r_1

With u = (h - mu) / sigma, and phi, Phi the standard normal density and distribution function (Jones, Schonlau, Welch, 1998, equation 15):

    EI(h) = E max(0, h - f) = sigma (phi(u) + u Phi(u))

A point with known loss c dominates, in every column t of [c, r_1), what lies between f and the staircase. The expectation of that
area is exact because the staircase has no more than K + 1 steps (the two-loss case of Emmerich, Giannakoglou, Naujoks, 2006):

    EHVI = sum_k  max(0, t_(k+1) - max(t_k, c))  EI(h_k)

Both are returned as logarithms, which keep an order where the values themselves vanish (Ament et al., 2023, arXiv:2310.20708,
equation 9): for u < -1, log(phi(u) + u Phi(u)) = log phi(u) + log(1 + u Phi(u) / phi(u)).
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autopeft.pareto import non_dominated

Array = NDArray[np.float64]

FAR = -1e6
"""Below this u, 1 + u Phi(u) / phi(u) is 0 in double precision; its limit is u^-2."""


def log_expected_improvement(mean: Array, deviation: Array, best: Array) -> Array:
    """Return log EI of N means and deviations below N (or N x K broadcastable) heights."""
    sigma = torch.as_tensor(deviation)
    u = (torch.as_tensor(best) - torch.as_tensor(mean)) / sigma
    result: Array = (_log_h(u) + sigma.log()).numpy()
    return result


def log_expected_hypervolume_improvement(known: Array, mean: Array, deviation: Array, front: Array, reference: Array) -> Array:
    """Return log EHVI of N points; minus infinity where the known loss lies beyond the reference.

    Args:
        known: c.
        mean: mu, N.
        deviation: sigma, N.
        front: Losses to improve on, any number x 2; what is dominated or beyond the reference is left out here.
        reference: r.
    """
    steps = staircase(front, reference)
    starts, heights = np.r_[-np.inf, steps[:, 0]], np.r_[reference[1], steps[:, 1]]
    ends = np.r_[steps[:, 0], reference[0]]
    widths = np.maximum(0.0, ends - np.maximum(starts, known[:, None]))
    with np.errstate(divide="ignore"):
        terms = np.log(widths) + log_expected_improvement(mean[:, None], deviation[:, None], heights)
    result: Array = torch.logsumexp(torch.as_tensor(terms), dim=1).numpy()
    return result


def staircase(losses: Array, reference: Array) -> Array:
    """Return F: the front points below the reference, the first loss rising and the second falling."""
    inside = losses[(losses < reference).all(axis=1)]
    front = np.unique(inside[non_dominated(inside)], axis=0)
    result: Array = front[np.argsort(front[:, 0])]
    return result


def _log_h(u: Tensor) -> Tensor:
    """Return log(phi(u) + u Phi(u))."""
    log_density = -0.5 * u.square() - 0.5 * math.log(2 * math.pi)
    near = u.clamp_min(-1.0)
    direct = torch.log(torch.exp(-0.5 * near.square()) / math.sqrt(2 * math.pi) + near * torch.special.ndtr(near))
    tail = u.clamp(FAR, -1.0)
    # Phi(u) / phi(u) = sqrt(pi / 2) erfcx(-u / sqrt(2)) does not underflow.
    left = torch.log1p(tail * math.sqrt(math.pi / 2) * torch.special.erfcx(-tail / math.sqrt(2)))
    # The difference cancels: beyond 1e3 or so the limit u^-2 is more exact than the formula.
    tail_value = torch.where(u < -1e3, -2 * u.clamp_max(-1.0).abs().log(), left)
    return torch.where(u > -1.0, direct, log_density + tail_value)
