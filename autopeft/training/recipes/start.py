"""What holds trained weights to where they began, or has some of them begin anew.

w^0 are the values that training starts from: the pretrained ones, and of inserted modules their first.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from autopeft.methods.applied import AppliedModules
from autopeft.methods.topology import unwrapped
from autopeft.training.initialisation import reset_parameters
from autopeft.training.recipes.recipe import Recipe


class L2Start(Recipe):
    """Adds alpha/2 sum ||w - w^0||^2 to the loss, alpha = `value`, over the modules' parameters; the head has no start, and stays out.

    L2-SP: Li et al., 2018, arXiv 1802.01483.
    """

    def start(self, n_steps: int, trainable: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
        """Keep the first values."""
        self._first = [(parameter, parameter.detach().clone()) for parameter in self.applied.module_parameters.values()]

    @torch.no_grad()
    def after_backward(self, step: int) -> None:
        """Add the penalty's gradient, alpha (w - w^0)."""
        for parameter, first in self._first:
            if parameter.grad is not None:
                parameter.grad.add_(parameter - first, alpha=self.value)


class Mixout(Recipe):
    """Puts a pretrained number in the place of each trained one with the probability p = `value`, in every step.

    With M_ij in {0, 1} of mean p, the forward pass sees w' = (M w^0 + (1 - M) w - p w^0) / (1 - p), whose expectation is w; so the gradient
    at w is (1 - M) / (1 - p) times that at w' (Lee et al., 2019, arXiv 1909.11299). It is done to the
    matrices of the layers.
    """

    def start(self, n_steps: int, trainable: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
        """Keep the first values."""
        self._first = [(one, one.detach().clone()) for one in pretrained(self.applied).values() if one.dim() > 1]
        self._kept: list[tuple[nn.Parameter, Tensor, Tensor]] = []

    def prepare(self, seed: int) -> None:
        """Check that there is something to mix."""
        if not pretrained(self.applied):
            raise self.refuse("mixout", "none of its modules trains the backbone's own layers")

    @torch.no_grad()
    def before_step(self, step: int) -> None:
        """Mix."""
        p = self.value
        for parameter, first in self._first:
            factor = torch.empty_like(parameter).bernoulli_(1 - p).div_(1 - p)  # (1 - M) / (1 - p)
            self._kept.append((parameter, parameter.detach().clone(), factor))
            parameter.copy_(first + factor * (parameter - first))

    @torch.no_grad()
    def after_backward(self, step: int) -> None:
        """Take the trained numbers back, and give them their gradient."""
        for parameter, value, factor in self._kept:
            parameter.copy_(value)
            if parameter.grad is not None:
                parameter.grad.mul_(factor)
        self._kept.clear()


class ReinitLayers(Recipe):
    """Draws the top `value` layers anew, by the model's own initialisation (Zhang et al., 2020, arXiv 2006.05987)."""

    def prepare(self, seed: int) -> None:
        """Draw them."""
        topology, n_layers = self.applied.topology, int(self.value)
        if n_layers > topology.n_layers:
            raise self.refuse("reinit_layers", f"the backbone has {topology.n_layers} layers")
        trained = pretrained(self.applied)
        top = range(topology.n_layers - n_layers, topology.n_layers)
        wanted = {tensor.name for tensor in topology.backbone() if tensor.block in top and not tensor.is_fixed}
        if missing := wanted - {_original(name) for name in trained}:
            raise self.refuse("reinit_layers", f"these layers are not trained, {min(missing)} among them")
        reset_parameters(self.applied.model, [name for name in trained if _original(name) in wanted], seed + 1)


def pretrained(applied: AppliedModules) -> dict[str, nn.Parameter]:
    """Return the parameters of the backbone's layers that are trained, by name."""
    own = {tensor.name for tensor in applied.topology.backbone() if tensor.block is not None}
    return {name: parameter for name, parameter in applied.module_parameters.items() if _original(name) in own}


def _original(name: str) -> str:
    return unwrapped(name)  # a method that wraps a linear moves its weight
