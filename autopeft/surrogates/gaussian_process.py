"""A Gaussian process over one measured objective.

Legend:
    n, N     observations, and points to predict
    d        coordinates of a point
    X        n x d, observed points, coordinates in [0, 1]
    y        n, losses, scaled to mean 0 and variance 1
    l        d, length scales
    s2       noise variance
    m        constant mean
    k(a, b)  exp(-|(a - b) / l|^2 / 2)
    L        n x n, lower Cholesky factor of k(X, X) + s2 I
    w        n, (k(X, X) + s2 I)^-1 (y - m)

Hyper-parameters l, s2, m maximise the posterior under priors that grow with the dimension (Hvarfner, Hellsten, Nardi, 2024,
arXiv:2402.02229, section 5): log l ~ N(sqrt(2) + log(d) / 2, sqrt(3)); BoTorch fits them. Prediction at N points x:

    mean = m + k(x, X) w,        variance = 1 - |L^-1 k(X, x)|^2        (Rasmussen, Williams, 2006, equations 2.25, 2.26)
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from botorch.exceptions.errors import ModelFittingError
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from gpytorch.mlls import ExactMarginalLogLikelihood
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]

LARGEST = 1e100
"""Losses are clipped here: their squares must stay finite."""
MIN_VARIANCE = 1e-10
MIN_PER_SLOPE = 4
"""A trend needs more losses than this for each of its coordinates."""
MAX_ITERATIONS = 60


@dataclass(frozen=True)
class Trend:
    """A least-squares plane over a few coordinates."""

    along: tuple[int, ...]
    coefficients: Array
    """The mean, then one slope a coordinate."""

    @classmethod
    def fit(cls, inputs: Array, losses: Array, along: Sequence[int]) -> "Trend":
        """Fit to n losses; without enough of them, just their mean."""
        used = tuple(along) if len(losses) > MIN_PER_SLOPE * len(along) else ()
        coefficients: Array = np.linalg.lstsq(_plane(inputs, used), losses, rcond=None)[0].astype(np.float64)
        return cls(used, coefficients)

    def __call__(self, points: Array) -> Array:
        """Return the trend at N points."""
        result: Array = _plane(points, self.along) @ self.coefficients
        return result


@dataclass(frozen=True)
class GaussianProcess:
    """A fitted process; `fit` makes one."""

    model: SingleTaskGP
    """Holds the hyper-parameters."""
    inputs: Tensor
    """X."""
    targets: Tensor
    """y."""
    trend: Trend
    """What was taken off the losses before scaling."""
    scale: float
    """Standard deviation of what was left."""

    @classmethod
    def fit(cls, inputs: Array, losses: Array, along: Sequence[int] = ()) -> "GaussianProcess":
        """Fit to n losses; where the fit fails, the hyper-parameters stay at their priors' modes.

        Args:
            inputs: X.
            losses: Losses in any unit.
            along: Coordinates along which the losses may have a linear trend: far from all data it goes on, not back to the mean.
        """
        clipped = np.clip(losses, -LARGEST, LARGEST)
        trend = Trend.fit(inputs, clipped, along)
        left = clipped - trend(inputs)
        scale = float(left.std()) or 1.0
        x, y = torch.as_tensor(inputs, dtype=torch.double), torch.as_tensor(left / scale, dtype=torch.double)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # constant data, or a fit that stops early: still good enough to propose with
            model = SingleTaskGP(x, y[:, None], outcome_transform=None)
            _fit_or_keep(model)
        return cls(model.eval(), x, y, trend, scale)

    def predict(self, points: Array) -> tuple[Array, Array]:
        """Return means and standard deviations (without noise) of the losses at N points, in their own unit."""
        mean, deviation = self._predict(torch.as_tensor(points, dtype=torch.double))
        return self.trend(points) + self.scale * mean.numpy(), self.scale * deviation.numpy()

    def believing(self, points: Array) -> "GaussianProcess":
        """Return the process after seeing, at points still running, what it expects there (Ginsbourger et al., 2010: the believer).

        The mean stays, the variance near them goes: a batch spreads out.
        """
        pending = torch.as_tensor(points, dtype=torch.double)
        mean, _ = self._predict(pending)
        return replace(self, inputs=torch.cat([self.inputs, pending]), targets=torch.cat([self.targets, mean]))

    def _predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        m = self.model.mean_module.constant.detach()
        L = self._factor()  # noqa: N806
        w = torch.cholesky_solve((self.targets - m)[:, None], L)
        cross = self._kernel(x, self.inputs)
        explained = torch.linalg.solve_triangular(L, cross.T, upper=False).square().sum(0)
        return m + (cross @ w)[:, 0], (1.0 - explained).clamp_min(MIN_VARIANCE).sqrt()

    def _factor(self) -> Tensor:
        noise = self.model.likelihood.noise.detach()
        factor: Tensor = torch.linalg.cholesky(self._kernel(self.inputs, self.inputs) + noise * torch.eye(len(self.inputs)).double())
        return factor

    def _kernel(self, a: Tensor, b: Tensor) -> Tensor:
        scales = self.model.covar_module.lengthscale.detach()
        return torch.cdist(a / scales, b / scales, compute_mode="donot_use_mm_for_euclid_dist").square().mul(-0.5).exp()


def _plane(points: Array, along: Sequence[int]) -> Array:
    return np.concatenate([np.ones((len(points), 1)), points[:, list(along)]], axis=1)


def _fit_or_keep(model: SingleTaskGP) -> None:
    start = {name: value.clone() for name, value in model.state_dict().items()}
    likelihood = ExactMarginalLogLikelihood(model.likelihood, model)
    try:
        fit_gpytorch_mll(likelihood, optimizer_kwargs={"options": {"maxiter": MAX_ITERATIONS}}, max_attempts=2)
    except (ModelFittingError, RuntimeError, ValueError):
        model.load_state_dict(start)
