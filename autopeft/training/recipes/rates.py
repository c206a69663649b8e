"""Learning rates and dropout that differ between parts of the model."""

from collections.abc import Sequence

from torch import nn

from autopeft.methods.topology import unwrapped
from autopeft.training.recipes.recipe import Recipe

_DROPOUTS = ("attention_dropout", "dropout", "activation_dropout", "dropout_prob")
"""Names under which transformers' modules keep a probability that they hand to a function."""


class HeadRate(Recipe):
    """Trains the task head at `value` times the learning rate."""

    def rate_factor(self, name: str) -> float:
        """Return the factor for the head's parameters."""
        return self.value if name in self.applied.head_parameters else 1.0


class LayerRateDecay(Recipe):
    """Trains each layer slower than the one above it: eta_l = eta value^(L - 1 - l).

    L is the number of layers, l a layer from 0 on; what stands above the layers learns at eta, and what stands below at eta value^L (Howard
    and Ruder, 2018, arXiv 1801.06146; the names in Clark et al., 2020, arXiv 2003.10555).
    """

    def rate_factor(self, name: str) -> float:
        """Return the factor for a parameter by its place."""
        topology = self.applied.topology
        layer = topology.layer_of(name)
        if layer is None:
            is_above = name in self.applied.head_parameters or topology.is_above(unwrapped(name))
            return 1.0 if is_above else self.value**topology.n_layers
        return self.value ** (topology.n_layers - 1 - layer)


class DropoutFactor(Recipe):
    """Multiplies every probability of dropout by `value`, at most to 1; what is frozen below the modules has none anyway."""

    _before: Sequence[tuple[nn.Module, str, float]] = ()

    def prepare(self, seed: int) -> None:
        """Set the modules' probabilities."""
        self._before = before = []
        for module in self.applied.model.modules():
            for name in ("p",) if isinstance(module, nn.Dropout) else _DROPOUTS:
                probability = getattr(module, name, None)
                if isinstance(probability, float) and 0 < probability < 1:
                    before.append((module, name, probability))
                    setattr(module, name, min(1.0, probability * self.value))

    def undo(self) -> None:
        """Give the modules their own probabilities back."""
        for module, name, probability in self._before:
            setattr(module, name, probability)
