"""The posterior of a Gaussian process' hyper-parameters, which a fit maximises.

Legend:
    n, d   observed points, coordinates of a point
    X, y   n x d and n, points and losses, scaled to mean 0 and variance 1
    t      hyper-parameters: those of the kernel k, the noise variance s2, the mean m
    u      t with its positive members, all but m, as logarithms
    K      n x n, k(X, X) + s2 I
    L      n x n, lower Cholesky factor of K
    w      n, K^-1 (y - m)

    log p(t | X, y) = -(y - m)^T w / 2 - sum_i log L_ii + log p(t) + constant        (Rasmussen, Williams, 2006, equation 5.8)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from autopeft.surrogates.kernel import Kernel, Prior

Array = NDArray[np.float64]
Hyper = Mapping[str, Tensor]
"""The hyper-parameters t by name."""

NOISE = Prior("noise", 1, -2.0, 1.0, -2.0)
"""Over s2, as a share of the losses' variance. Seeds make a seventh of it, about, among the trials of a search; a prior that expects
less (BoTorch's has its centre at -4) takes noise for structure where there is more, and one that expects more finds less where there
is little (benchmarks/RESULTS.md)."""
MIN_NOISE = 1e-4
MAX_ITERATIONS = 60
HOPELESS = 1e10
"""Cost where K has no factor; finite, for the line search interpolates."""
LOG_BOUND = 9.0
"""Logarithms of hyper-parameters stay within this of 0: beyond it a kernel is constant, or diagonal, and no step leads back."""


@dataclass(frozen=True)
class HyperPosterior:
    """The posterior given some points."""

    kernel: Kernel
    inputs: Tensor
    """X."""
    targets: Tensor
    """y."""
    of_logs: bool = False
    """Whether its density is that of u, not of t; their modes differ."""

    @cached_property
    def start(self) -> Array:
        """The u from which a fit sets out."""
        return np.append(self._all("start").numpy(), 0.0)

    def mode(self) -> Array:
        """Return the u of highest density that L-BFGS finds; where it finds none, the start."""
        bounds = [(-LOG_BOUND, LOG_BOUND)] * len(self.start)
        found = minimize(self.cost, self.start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": MAX_ITERATIONS})
        return found.x if found.fun < HOPELESS else self.start  # False for NaN, too

    def cost(self, u: Array) -> tuple[float, Array]:
        """Return minus the density's logarithm, but for a constant, and its slope in u."""
        free = torch.tensor(u, requires_grad=True)
        hyper = self._unpack(free)
        try:
            L = factor(self.kernel, self.inputs, hyper)  # noqa: N806
        except RuntimeError:  # not positive definite
            return HOPELESS, np.zeros_like(u)
        off = self.targets - hyper["mean"]
        w = torch.cholesky_solve(off[:, None], L)[:, 0]
        log_likelihood = -off @ w / 2 - L.diagonal().log().sum()
        logs = free[:-1]
        log_prior = -((logs - self._all("centre")) / self._all("spread")).square().sum() / 2
        if not self.of_logs:
            log_prior = log_prior - logs.sum()  # the density of a log-normal number is its logarithm's divided by the number
        total = -(log_likelihood + log_prior)
        (slope,) = torch.autograd.grad(total, free)
        return total.item(), slope.numpy()

    def hyper(self, u: Array) -> Hyper:
        """Return t."""
        with torch.no_grad():
            return self._unpack(torch.tensor(u))

    @cached_property
    def _priors(self) -> list[Prior]:
        return [*self.kernel.priors, NOISE]

    def _all(self, field: str) -> Tensor:
        return torch.cat([torch.full((prior.size,), getattr(prior, field), dtype=self.inputs.dtype) for prior in self._priors])

    def _unpack(self, free: Tensor) -> dict[str, Tensor]:
        each = torch.split(free[:-1].exp(), [prior.size for prior in self._priors])
        parts = dict(zip((prior.name for prior in self._priors), each, strict=True))
        return {**parts, "noise": parts["noise"] + MIN_NOISE, "mean": free[-1]}


def factor(kernel: Kernel, x: Tensor, hyper: Hyper) -> Tensor:
    """Return L.

    Raises:
        RuntimeError: K is not positive definite.
    """
    lower: Tensor = torch.linalg.cholesky(kernel(x, x, hyper) + hyper["noise"] * torch.eye(len(x), dtype=x.dtype))
    return lower
