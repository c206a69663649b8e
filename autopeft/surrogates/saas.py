"""The surrogate of AutoPEFT's search: a Gaussian process with sparse axis-aligned priors, its hyper-parameters sampled, not fitted.

After Eriksson, Jankowiak (2021, arXiv:2103.00349): most coordinates matter little, so each inverse length scale has a half-Cauchy prior
under a global one, and NUTS draws hyper-parameters from their posterior. What the process expects is the mixture over the draws.
"""

import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri
from torch import Tensor

from autopeft.surrogates.gaussian_process import GaussianProcess
from autopeft.surrogates.kernel import Kernel
from autopeft.surrogates.mixture import Mixture

Array = NDArray[np.float64]

WARMUP, N_SAMPLES, THINNING = 256, 128, 16
N_REMEMBERED = 4
"""Draws that are remembered, one set for each objective there may be: the trials of a batch are asked for with the same history."""
N_COMPILED = 4
"""After so many draws JAX forgets what it compiled: another number of points needs other code, some 235 MB and a thousand memory maps of
it a draw, and a process of 75 draws died for want of memory. Not after each: some is of use, without it a draw takes 1.4 times as long."""


def fit_saas(inputs: Array, losses: Array, groups: Sequence[Sequence[int]] = ()) -> Mixture:
    """Sample the posterior given n losses; the same data give the same draws, and those of late aren't drawn again.

    Args:
        inputs: n x d, coordinates in [0, 1].
        losses: n losses in any unit.
        groups: Not used: every coordinate has a length scale of its own.
    """
    centre, scale = float(losses.mean()), float(losses.std()) or 1.0
    x, y = torch.as_tensor(inputs, dtype=torch.double), torch.as_tensor((losses - centre) / scale, dtype=torch.double)
    draws = _remembered(*(one.numpy().tobytes() for one in (x, y)))
    return Mixture(tuple(_member(x, y, centre, scale, *draw) for draw in draws))


@lru_cache(N_REMEMBERED)
def _remembered(x: bytes, y: bytes) -> Sequence[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Return `_draw` of arrays given by their bytes."""
    inputs, losses = (torch.tensor(np.frombuffer(one)) for one in (x, y))
    draws = _draw(inputs.reshape(len(losses), -1), losses)
    if _remembered.cache_info().misses % N_COMPILED == 0:
        import jax

        jax.clear_caches()
    return draws


def _draw(x: Tensor, y: Tensor) -> Sequence[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Return the length scales, variance, noise and mean of each draw."""
    from botorch.exceptions import InputDataWarning
    from botorch.fit import fit_fully_bayesian_model_nuts  # needs the packages of the extra saasbo
    from botorch.models.fully_bayesian import SaasFullyBayesianSingleTaskGP

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputDataWarning)  # equal losses can't have a variance of 1
        model = SaasFullyBayesianSingleTaskGP(x, y[:, None], outcome_transform=None)
    fit_fully_bayesian_model_nuts(model, warmup_steps=WARMUP, num_samples=N_SAMPLES, thinning=THINNING, disable_progbar=True, seed=len(y))
    scaled = model.covar_module
    lengths = scaled.base_kernel.lengthscale.detach().reshape(-1, x.shape[1])
    each = (scaled.outputscale, model.likelihood.noise, model.mean_module.constant)
    return tuple(zip(lengths, *(one.detach().reshape(-1) for one in each), strict=True))


def _member(
    x: Tensor, y: Tensor, centre: float, scale: float, lengths: Tensor, variance: Tensor, noise: Tensor, mean: Tensor
) -> GaussianProcess:
    """Return a draw as a process of ours, whose kernel is 1 at 0: losses are divided by the root of the draw's variance instead."""
    root = variance.sqrt()
    hyper = {"lengths": lengths, "noise": noise / variance, "mean": mean / root}
    return GaussianProcess(Kernel(x.shape[1]), hyper, x, y / root, centre, scale * float(root))


def quantiles(losses: Array) -> Callable[[Array], Array]:
    """Return the function that turns losses into normal quantiles of their ranks among the finite ones given (a Gaussian copula).

    Between them it is linear, beyond them flat: outliers count for no more than their place.
    """
    finite = losses[np.isfinite(losses)]
    steps, counts = np.unique(finite, return_counts=True)
    heights = ndtri((np.cumsum(counts) - counts / 2) / max(1, len(finite)))  # the mean rank of equal losses, less a half

    def scale(some: Array) -> Array:
        result: Array = np.where(np.isfinite(some), np.interp(some, steps, heights), np.nan) if len(steps) else some
        return result

    return scale
