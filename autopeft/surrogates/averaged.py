"""A surrogate that averages over hyper-parameters instead of taking the likeliest ones.

Legend:
    u   hyper-parameters, positive ones as logarithms (see `hyper_posterior`)
    a   number of members of u
    H   a x a, second derivatives of minus the logarithm of u's density, at its mode

A few dozen noisy measurements leave much open: which of two layers counts, how much is noise. One set of hyper-parameters takes a side,
and is too sure of it. Around its mode u is about normal, with covariance H^-1 (Laplace's approximation: Rasmussen, Williams, 2006,
section 3.4); processes with hyper-parameters drawn from there make up a mixture. H comes from differences of the slope.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from autopeft.surrogates.gaussian_process import posterior, processes
from autopeft.surrogates.hyper_posterior import LOG_BOUND, Hyper, HyperPosterior
from autopeft.surrogates.kernel import LENGTH_SPREAD, Kernel
from autopeft.surrogates.mixture import Mixture

Array = NDArray[np.float64]

N_PAIRS = 8
"""Draws come in pairs, opposite each other: their mean is the mode."""
STEP = 1e-4
"""Over which the slope's difference is taken."""
MIN_CURVATURE = LENGTH_SPREAD**-2
"""No direction is less certain than under the widest prior, whatever the differences say."""


def fit_averaged(inputs: Array, losses: Array, groups: Sequence[Sequence[int]] = ()) -> Mixture:
    """Return the mixture given n losses; the same data give the same draws.

    Args:
        inputs: n x d, coordinates in [0, 1].
        losses: n losses in any unit.
        groups: The coordinates that are flags of one kind, see `kernel`.
    """
    return Mixture(processes(inputs, losses, groups, _draw))


def _draw(kernel: Kernel, x: bytes, y: bytes) -> list[Hyper]:
    found = posterior(kernel, x, y, of_logs=True)
    mode = found.mode()
    curvatures, directions = np.linalg.eigh(_hessian(found, mode))
    spread = directions / np.sqrt(np.maximum(curvatures, MIN_CURVATURE))
    steps = np.random.default_rng(0).standard_normal((N_PAIRS, len(mode))) @ spread.T
    return [found.hyper(u) for u in np.clip(np.concatenate([mode + steps, mode - steps]), -LOG_BOUND, LOG_BOUND)]


def _hessian(of: HyperPosterior, at: Array) -> Array:
    """Return H."""
    _, slope = of.cost(at)
    rows = np.array([of.cost(moved)[1] - slope for moved in at + STEP * np.eye(len(at))]) / STEP
    result: Array = (rows + rows.T) / 2
    return result
