"""Gradual unfreezing with discriminative learning rates (ULMFiT: Howard and Ruder, 2018, arXiv 1801.06146, sections 3.2 and 3.3).

The last layer is trained first, then one layer more at a time from the top down, until all are. Layer l learns at the rate
eta_l = eta_L / d^(L - l), L being the last layer and d = 2.6 in the paper; what stands above the layers learns at eta_L, and what stands
below, such as embeddings, as one layer more, with the lowest. The paper frees a layer an epoch; here a share of the steps is divided
equally, since trials have fewer epochs than models have layers.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import nn

from autopeft.configuration import PeftModule
from autopeft.methods import mask
from autopeft.methods.hook import ParameterGroup, TrainingHook
from autopeft.methods.mask_forms import everything
from autopeft.methods.topology import Topology, unwrapped


def inject(model: nn.Module, module: PeftModule, topology: Topology) -> "GradualUnfreezing":
    """Make everything trainable, and return what frees it bit by bit."""
    mask.inject(model, module, topology)
    return GradualUnfreezing(
        frozenset(everything(module, topology)), topology, float(module.options["rate_decay"]), float(module.options["unfrozen_after"])
    )


class GradualUnfreezing(TrainingHook):
    """Frees layers from the top down.

    Args:
        names: The model's own parameters that are trained, by their names before anything was injected.
        topology: Says which layer they are in.
        rate_decay: d, by which the learning rate falls from layer to layer.
        unfrozen_after: Share of the steps after which all is trained.
    """

    def __init__(self, names: frozenset[str], topology: Topology, rate_decay: float, unfrozen_after: float) -> None:
        self._names, self._topology = names, topology
        self._rate_decay, self._unfrozen_after = rate_decay, unfrozen_after
        self._n_steps = 0

    def parameter_groups(self, trainable: Mapping[str, nn.Parameter]) -> Iterable[ParameterGroup]:
        """Return a group for each layer, and one for what stands below them."""
        n_layers = self._topology.n_layers
        groups: dict[int, list[nn.Parameter]] = {}
        for name, parameter in trainable.items():
            original = unwrapped(name)  # a method that wraps a linear moves its weight
            if original in self._names:
                groups.setdefault(n_layers - 1 - self._place(original), []).append(parameter)
        return [ParameterGroup(group, self._rate_decay**-n_below) for n_below, group in sorted(groups.items())]

    def _place(self, name: str) -> int:
        """Return a parameter's layer; the last for what stands above the layers, and -1 for what stands below."""
        layer = self._topology.layer_of(name)
        if layer is not None:
            return layer
        return self._topology.n_layers - 1 if self._topology.is_above(name) else -1

    def start(self, n_steps: int, trainable: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
        """Fit the schedule into a training."""
        self._n_steps = n_steps

    def lowest_trained_layer(self, step: int) -> int:
        """Return the last layer at first, and 0 from a share of the steps on."""
        n_layers, until = self._topology.n_layers, self._unfrozen_after * self._n_steps
        n_trained = n_layers if step >= until else 1 + int(step * n_layers / until)
        return n_layers - min(n_layers, n_trained)

    def may_be_kept(self, n_steps: int) -> bool:
        """Whether every layer was trained."""
        return self.lowest_trained_layer(n_steps - 1) == 0
