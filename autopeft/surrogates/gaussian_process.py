"""A Gaussian process over one measured objective.

Legend:
    n, N   observed points, and points to predict
    d      coordinates of a point
    X      n x d, observed points, coordinates in [0, 1]
    y      n, losses, scaled so that those fitted to have mean 0 and variance 1
    t      hyper-parameters, of which the mean m; with it L, the factor of the covariance, and w (see `hyper_posterior`)

The fit takes the t of highest posterior density. It is most of the work, and a few more points hardly change t. So from `ALL_FITTED`
points on it takes the first so many alone, in steps: the next point's fit finds the same points again, and is remembered. Predictions
rest on all points at once.

Prediction at N points x (Rasmussen, Williams, 2006, equations 2.25, 2.26, 2.30):

    mean = m + k(x, X) w,        variance = 1 - |L^-1 k(X, x)|^2

and of an observed point i by the others (equation 5.12), with K = L L^T:

    mean = y_i - w_i / (K^-1)_ii,        variance = 1 / (K^-1)_ii, its noise among it
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autopeft.surrogates.hyper_posterior import Hyper, HyperPosterior, factor
from autopeft.surrogates.kernel import Kernel, flag_kernel

Array = NDArray[np.float64]
Places = NDArray[np.int64]

LARGEST = 1e100
"""Losses are clipped here: their squares must stay finite."""
MIN_VARIANCE = 1e-10
ALL_FITTED = 128
"""Up to so many points the hyper-parameters are fitted to all."""
STEP = 9 / 8
"""Beyond, they are fitted anew whenever there are so many times as many points."""
MAX_FITTED = 256
"""Points that the hyper-parameters are fitted to at most: they don't sharpen any more, and the time grows with the cube."""
N_REMEMBERED = 16
"""Fits that are remembered: of a few objectives and bounds, each for its points so far."""
DIGITS = 9
"""Coordinates and losses are rounded for the fit: what differs by how it was scaled alone is the same fit."""
MAX_KEPT = 1000
"""Points that predictions rest on."""

Find = Callable[[Kernel, bytes, bytes], Sequence[Hyper]]
"""Finds hyper-parameters from the bytes of the n x d points and n losses that a fit takes."""


@dataclass(frozen=True)
class GaussianProcess:
    """A fitted process; `fit` makes one."""

    kernel: Kernel
    hyper: Hyper
    """t."""
    inputs: Tensor
    """X."""
    targets: Tensor
    """y."""
    centre: float
    """Mean of the losses."""
    scale: float
    """Standard deviation of the losses."""

    @classmethod
    def fit(cls, inputs: Array, losses: Array, groups: Sequence[Sequence[int]] = ()) -> "GaussianProcess":
        """Fit to n losses; where the fit fails, the hyper-parameters stay where it started.

        Args:
            inputs: X, in an order to whose end new points are added.
            losses: Losses in any unit.
            groups: The coordinates that are flags of one kind, see `kernel`.
        """
        (found,) = processes(inputs, losses, groups, _most_likely)
        return found

    def predict(self, points: Array) -> tuple[Array, Array]:
        """Return means and standard deviations (without noise) of the losses at N points, in their own unit."""
        mean, deviation = self._predict(torch.as_tensor(points, dtype=torch.double))
        return self.centre + self.scale * mean.numpy(), self.scale * deviation.numpy()

    def leave_one_out(self) -> tuple[Array, Array]:
        """Return the mean and the standard deviation of each of the n measurements that the others foretell, in the losses' own unit."""
        L, w = self._solved  # noqa: N806
        variance = 1 / torch.cholesky_inverse(L).diagonal()
        return self.centre + self.scale * (self.targets - w[:, 0] * variance).numpy(), self.scale * variance.sqrt().numpy()

    def fantasize(self, points: Array) -> "GaussianProcess":
        """Return the process after seeing, at points still running, what it expects there (Ginsbourger et al., 2010: the believer).

        The mean stays, the variance near them goes: a batch spreads out.
        """
        pending = torch.as_tensor(points, dtype=torch.double)
        mean, _ = self._predict(pending)
        return replace(self, inputs=torch.cat([self.inputs, pending]), targets=torch.cat([self.targets, mean]))

    @property
    def noise_deviation(self) -> float:
        """Standard deviation of a measurement's noise, in the losses' own unit."""
        return self.scale * math.sqrt(self.hyper["noise"].item())

    @cached_property
    def _solved(self) -> tuple[Tensor, Tensor]:
        """L and w."""
        L = factor(self.kernel, self.inputs, self.hyper)  # noqa: N806
        return L, torch.cholesky_solve((self.targets - self.hyper["mean"])[:, None], L)

    def _predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        L, w = self._solved  # noqa: N806
        m = self.hyper["mean"]
        cross = self.kernel(x, self.inputs, self.hyper)
        explained = torch.linalg.solve_triangular(L, cross.T, upper=False).square().sum(0)
        return m + (cross @ w)[:, 0], (1.0 - explained).clamp_min(MIN_VARIANCE).sqrt()


def processes(inputs: Array, losses: Array, groups: Sequence[Sequence[int]], find: Find) -> tuple[GaussianProcess, ...]:
    """Return a process for each of the hyper-parameters that are found, given what `GaussianProcess.fit` is given."""
    clipped = np.clip(losses, -LARGEST, LARGEST)
    settled = _settled(len(inputs))
    centre, scale = float(clipped[:settled].mean()), float(clipped[:settled].std()) or 1.0
    x, y = torch.as_tensor(inputs, dtype=torch.double), torch.as_tensor((clipped - centre) / scale, dtype=torch.double)
    kernel = flag_kernel(x.shape[1], groups)
    fitted, kept = _spread(settled, MAX_FITTED), _telling(clipped, MAX_KEPT)
    hypers = find(kernel, *(one[fitted].numpy().round(DIGITS).tobytes() for one in (x, y)))
    return tuple(GaussianProcess(kernel, hyper, x[kept], y[kept], centre, scale) for hyper in hypers)


def posterior(kernel: Kernel, x: bytes, y: bytes, *, of_logs: bool = False) -> HyperPosterior:
    """Return the posterior given arrays' bytes."""
    inputs, losses = (torch.tensor(np.frombuffer(one)) for one in (x, y))
    return HyperPosterior(kernel, inputs.reshape(len(losses), -1), losses, of_logs)


@lru_cache(N_REMEMBERED)
def _most_likely(kernel: Kernel, x: bytes, y: bytes) -> tuple[Hyper]:
    found = posterior(kernel, x, y)
    return (found.hyper(found.mode()),)


def _settled(n: int) -> int:
    """Return how many of the first of n points the hyper-parameters follow from."""
    if n <= ALL_FITTED:
        return n
    settled = ALL_FITTED
    while (following := int(settled * STEP)) <= n:
        settled = following
    return settled


def _spread(n: int, most: int) -> Places:
    """Return up to so many of n positions, evenly."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64))


def _telling(losses: Array, most: int) -> Places:
    """Return the positions of up to so many losses: half the lowest, for that is where to look on, half evenly out of the others."""
    if len(losses) <= most:
        return np.arange(len(losses))
    order = np.argsort(losses, kind="stable")
    return np.sort(np.concatenate([order[: most // 2], order[most // 2 :][_spread(len(losses) - most // 2, most - most // 2)]]))
