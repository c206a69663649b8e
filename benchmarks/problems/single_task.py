"""What anyone would write around BoTorch: its standard model over the parameters and the exact cost, and our search for the best point.

Legend: n points, d coordinates, q and l length scales, s2 the noise variance.

    k(a, b) = exp(-|(a - b) / l|^2 / 2),   l and s2 of highest posterior density under BoTorch's priors, which grow with d
                                           (Hvarfner, Hellsten, Nardi, 2024, arXiv:2402.02229)
"""

import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from botorch.exceptions import BotorchWarning
from botorch.exceptions.errors import ModelFittingError
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from gpytorch.mlls import ExactMarginalLogLikelihood
from numpy.typing import NDArray
from torch import Tensor

from autopeft.samplers.bayesian import BayesianSampler
from autopeft.samplers.problem import Parameters, SearchProblem
from autopeft.samplers.proposal import Model, Proposer
from autopeft.surrogates.gaussian_process import LARGEST, GaussianProcess

Array = NDArray[np.float64]
N_REMEMBERED = 16


@dataclass(frozen=True)
class SquaredExponential:
    """K."""

    def __call__(self, a: Tensor, b: Tensor, hyper: Mapping[str, Tensor]) -> Tensor:
        """Return the n x N values of k between n x d and N x d points."""
        scaled = torch.cdist(a / hyper["lengths"], b / hyper["lengths"], compute_mode="donot_use_mm_for_euclid_dist")
        return torch.exp(-scaled.square() / 2)


def fit_single_task(inputs: Array, losses: Array, groups: Sequence[Sequence[int]] = ()) -> GaussianProcess:
    """Return the process given n losses; where the fit fails, with hyper-parameters from which it starts.

    Args:
        inputs: n x d, coordinates in [0, 1].
        losses: n losses in any unit.
        groups: Not used: every coordinate has a length scale of its own.
    """
    clipped = np.clip(losses, -LARGEST, LARGEST)
    centre, scale = float(clipped.mean()), float(clipped.std()) or 1.0
    x, y = torch.as_tensor(inputs, dtype=torch.double), torch.as_tensor((clipped - centre) / scale, dtype=torch.double)
    lengths, noise, mean = _fitted(*(one.numpy().tobytes() for one in (x, y)))
    return GaussianProcess(SquaredExponential(), {"lengths": lengths, "noise": noise, "mean": mean}, x, y, centre, scale)


@lru_cache(N_REMEMBERED)
def _fitted(x: bytes, y: bytes) -> tuple[Tensor, Tensor, Tensor]:
    """Return the length scales, noise variance and mean, given arrays' bytes."""
    inputs, losses = (torch.tensor(np.frombuffer(one)) for one in (x, y))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BotorchWarning)
        model = SingleTaskGP(inputs.reshape(len(losses), -1), losses[:, None], outcome_transform=None)
        with suppress(ModelFittingError):
            fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    parts = model.covar_module.lengthscale[0], model.likelihood.noise[0], model.mean_module.constant
    return tuple(part.detach().clone() for part in parts)


class _Raw(SearchProblem):
    """Parameters of numbers as they are: all levels equally far apart."""

    def encode(self, points: Sequence[Parameters]) -> Array:
        return self._rows(points) / np.maximum(1, self._n_values - 1)


class SingleTaskSampler(BayesianSampler):
    """Our sampler with BoTorch's standard model, which is told neither features nor flags, nor that 0 may mean off."""

    def _propose(self, proposer: Proposer) -> Parameters:
        problem = copy(proposer.problem)
        problem.__class__ = _Raw
        return super()._propose(replace(proposer, problem=problem, model=Model(fit_single_task, structured=False)))
