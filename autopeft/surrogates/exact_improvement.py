"""Expected hypervolume improvement in closed form, for losses that are modelled or known.

Legend:
    N, m     points, losses
    f        m, the losses of a point: independent, f_j ~ N(mu_j, sigma_j^2); a known loss has sigma_j = 0
    r        m, reference point
    K        boxes that tile what is below r and not dominated by the front
    l, u     K x m, lower (may be -inf) and upper corners of the boxes

What f adds to the hypervolume is, box by box, what of the box it dominates: prod_j (u_j - max(l_j, f_j))^+. Each factor is a difference
of two improvements, (u_j - f_j)^+ - (l_j - f_j)^+, and the losses are independent, so (Yang, Emmerich, Deutz, Baeck, 2019, equation 24)

    EHVI = sum over boxes  prod_j  ( EI_j(u_j) - EI_j(l_j) ),        EI_j(h) = E (h - f_j)^+,   EI_j(-inf) = 0

With z = (h - mu) / sigma, and phi, Phi the standard normal density and distribution (Jones, Schonlau, Welch, 1998, equation 15):

    EI(h) = sigma (phi(z) + z Phi(z));        (h - mu)^+ where sigma = 0

All is worked out in logarithms, which keep an order where improvements underflow (Ament et al., 2023, arXiv:2310.20708, equation 9):
for z < -1, log(phi(z) + z Phi(z)) = log phi(z) + log(1 + z Phi(z) / phi(z)). For one loss this is log EI below the front's only point.
"""

import math

import numpy as np
import torch
from botorch.utils.multi_objective.box_decompositions.non_dominated import FastNondominatedPartitioning
from numpy.typing import NDArray
from torch import Tensor

from autopeft.pareto import non_dominated

Array = NDArray[np.float64]

FAR = -1e3
"""Below this z, 1 + z Phi(z) / phi(z) loses all its digits; z^-2 is exact to six of them there."""
MAX_CELLS = 2_000_000
"""Points times boxes that are worked on at once."""


class HypervolumeImprovement:
    """The region that is still to be won, and what points may win of it.

    Args:
        losses: Losses to improve on, any number x m; what is dominated or beyond the reference doesn't matter.
        reference: r.
    """

    def __init__(self, losses: Array, reference: Array) -> None:
        lower, upper = boxes(losses, reference)
        self._n_boxes = len(lower)
        # Boxes share their sides: improvements are worked out once for every different side.
        sides = [torch.unique(torch.stack([lower[:, j], upper[:, j]], dim=1), dim=0, return_inverse=True) for j in range(lower.shape[1])]
        self._sides = [(one[:, 0], one[:, 1], where) for one, where in sides]

    def log_expected(self, mean: Array, deviation: Array) -> Array:
        """Return log EHVI of N points; minus infinity where nothing can be won.

        Args:
            mean: mu, N x m.
            deviation: sigma, N x m.
        """
        size = max(1, MAX_CELLS // max(1, self._n_boxes))
        chunks = zip(torch.split(torch.as_tensor(mean), size), torch.split(torch.as_tensor(deviation), size), strict=True)
        result: Array = torch.cat([self._log_expected(*chunk) for chunk in chunks]).numpy()
        return result

    def _log_expected(self, mean: Tensor, deviation: Tensor) -> Tensor:
        logs = torch.zeros(len(mean), self._n_boxes, dtype=torch.double)
        for j, (lower, upper, where) in enumerate(self._sides):
            least, most = (_log_improvement(height, mean[:, j : j + 1], deviation[:, j : j + 1]) for height in (lower, upper))
            # Where even the upper side can't be reached both are -inf, and their difference would be NaN.
            won = most + torch.log1p(-torch.exp((least - most).nan_to_num(nan=-math.inf).clamp_max(0.0)))
            logs += won[:, where]
        return torch.logsumexp(logs, dim=1)


def boxes(losses: Array, reference: Array) -> tuple[Tensor, Tensor]:
    """Return l and u."""
    inside = losses[(losses < reference).all(axis=1)]
    front = inside[non_dominated(inside)]
    if len(reference) == 1:
        upper = torch.tensor([[min([reference[0], *front[:, 0]])]], dtype=torch.double)
        return torch.full_like(upper, -math.inf), upper
    gains = torch.as_tensor(-front, dtype=torch.double)
    low, high = FastNondominatedPartitioning(torch.as_tensor(-reference, dtype=torch.double), gains).hypercell_bounds
    return -high, -low


def _log_improvement(height: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """Return log EI at each height for each point: heights are columns, points rows."""
    certain = torch.log((height - mean).clamp_min(0.0))
    sigma = torch.where(deviation > 0, deviation, 1.0)
    return torch.where(deviation > 0, _log_h((height - mean) / sigma) + sigma.log(), certain)


def _log_h(z: Tensor) -> Tensor:
    """Return log(phi(z) + z Phi(z)), for z of -inf too."""
    near = z.clamp_min(-1.0)
    direct = torch.log(torch.exp(-0.5 * near.square()) / math.sqrt(2 * math.pi) + near * torch.special.ndtr(near))
    tail = z.clamp(FAR, -1.0)
    # Phi(z) / phi(z) = sqrt(pi / 2) erfcx(-z / sqrt(2)) doesn't underflow.
    middle = torch.log1p(tail * math.sqrt(math.pi / 2) * torch.special.erfcx(-tail / math.sqrt(2)))
    limit = -2 * z.clamp_max(-1.0).abs().log()
    log_density = -0.5 * z.square() - 0.5 * math.log(2 * math.pi)
    return torch.where(z > -1.0, direct, log_density + torch.where(z > FAR, middle, limit))
