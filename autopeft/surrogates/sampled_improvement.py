"""Log noisy expected hypervolume improvement by sampling, where no closed form fits: BoTorch's qLogNEHVI.

Legend:
    n, N     observed points, points to score
    d, m     coordinates, losses
    X        n x d, observed points
    r        m, reference point

A loss is a surrogate's or one of the d coordinates: what is known is a coordinate and needs no model. The front that counts is the
front of each joint sample at X, so noise is honoured (Daulton, Balandat, Bakshy, 2021, arXiv:2105.08195, equation 3), and the
logarithm keeps an order where improvements vanish (Ament et al., 2023, arXiv:2310.20708, section 4.4).
"""

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import torch
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.acquisition.multi_objective.objective import WeightedMCMultiOutputObjective
from botorch.models import ModelList
from botorch.models.deterministic import GenericDeterministicModel
from botorch.models.model import Model
from botorch.sampling.get_sampler import get_sampler
from numpy.typing import NDArray
from torch import Tensor

from autopeft.surrogates.gaussian_process import GaussianProcess

Array = NDArray[np.float64]
Loss = GaussianProcess | int
"""A surrogate, or the index of the coordinate that is the loss."""

N_SAMPLES = 64
CHUNK = 128
"""Points scored at once: each is joined with X in every sample, which takes memory."""


def sampled_score(losses: Sequence[Loss], observed: Array, pending: Array, reference: Array, seed: int) -> Callable[[Array], Array]:
    """Return the function that scores N points by qLogNEHVI.

    Args:
        losses: m of them, smaller is better.
        observed: X.
        pending: Points still running, any number x d.
        reference: r, in the unit of the losses; of coordinates, in theirs.
        seed: Seeds the samples.
    """
    model = ModelList(*map(_model, losses))
    scaled = [
        (one - loss.centre) / loss.scale if isinstance(loss, GaussianProcess) else one for loss, one in zip(losses, reference, strict=True)
    ]
    baseline = torch.as_tensor(observed, dtype=torch.double)
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")  # BoTorch warns of data that is constant or repeated, which a study may well hold
        torch.manual_seed(seed)  # pruning draws from the global generator
        sampler = get_sampler(model.posterior(baseline[:1]), torch.Size([N_SAMPLES]), seed=seed)
        acquisition = qLogNoisyExpectedHypervolumeImprovement(
            model,
            ref_point=[-one for one in scaled],
            X_baseline=baseline,
            sampler=sampler,
            objective=WeightedMCMultiOutputObjective(weights=-torch.ones(len(losses), dtype=torch.double)),
            X_pending=torch.as_tensor(pending, dtype=torch.double) if len(pending) else None,
            prune_baseline=True,
            cache_root=False,
        )

    def score(points: Array) -> Array:
        chunks = torch.split(torch.as_tensor(points, dtype=torch.double)[:, None], CHUNK)
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values: Array = torch.cat([acquisition(chunk) for chunk in chunks]).numpy()
        return values

    return score


def _model(loss: Loss) -> Model:
    if isinstance(loss, GaussianProcess):
        return loss.model

    def column(x: Tensor) -> Tensor:
        return x[..., loss : loss + 1]

    return GenericDeterministicModel(column, num_outputs=1)
