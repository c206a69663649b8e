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
MAX_ITERATIONS = 200


@dataclass(frozen=True)
class GaussianProcess:
    """A fitted process; `fit` makes one."""

    model: SingleTaskGP
    """The same process for BoTorch's acquisition functions."""
    inputs: Tensor
    """X."""
    targets: Tensor
    """y."""
    centre: float
    """Mean of the losses before scaling."""
    scale: float
    """Standard deviation of the losses before scaling."""

    @classmethod
    def fit(cls, inputs: Array, losses: Array) -> "GaussianProcess":
        """Fit to n losses; where the fit fails, the hyper-parameters stay at their priors' modes."""
        clipped = np.clip(losses, -LARGEST, LARGEST)
        centre, scale = float(clipped.mean()), float(clipped.std()) or 1.0
        x, y = torch.as_tensor(inputs, dtype=torch.double), torch.as_tensor((clipped - centre) / scale, dtype=torch.double)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # constant data, or a fit that stops early: still good enough to propose with
            model = SingleTaskGP(x, y[:, None], outcome_transform=None)
            _fit_or_keep(model)
        return cls(model.eval(), x, y, centre, scale)

    def predict(self, points: Array) -> tuple[Array, Array]:
        """Return means and standard deviations (without noise) of the losses at N points, in their own unit."""
        mean, deviation = self._predict(torch.as_tensor(points, dtype=torch.double))
        return self.centre + self.scale * mean.numpy(), self.scale * deviation.numpy()

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


def _fit_or_keep(model: SingleTaskGP) -> None:
    start = {name: value.clone() for name, value in model.state_dict().items()}
    likelihood = ExactMarginalLogLikelihood(model.likelihood, model)
    try:
        fit_gpytorch_mll(likelihood, optimizer_kwargs={"options": {"maxiter": MAX_ITERATIONS}}, max_attempts=2)
    except (ModelFittingError, RuntimeError, ValueError):
        model.load_state_dict(start)
