"""LoRA, and LoRA+ (Hayou et al., 2024, arXiv 2402.12354): the factor B, zero at first, learns faster than A, eta_B = lambda eta_A."""

from collections.abc import Iterable, Mapping

from torch import nn

from autopeft.configuration import PeftModule
from autopeft.methods import weight
from autopeft.methods.hook import ParameterGroup, TrainingHook
from autopeft.methods.topology import Topology


def inject(model: nn.Module, module: PeftModule, topology: Topology) -> TrainingHook | None:
    """Wrap the targets, and return what makes their factors B learn at another rate, if they are to."""
    weight.inject(model, module, topology)
    factor = float(module.options["b_rate"])
    if factor == 1.0:
        return None
    layers = [model.get_submodule(linear.name) for linear in topology.linears(module.layers, module.targets)]
    return FasterFactor([layer.get_submodule(f"lora_B.{weight.ADAPTER}") for layer in layers], factor)


class FasterFactor(TrainingHook):
    """Trains some modules at a multiple of the learning rate.

    Args:
        factors: The modules.
        rate: The multiple, lambda.
    """

    def __init__(self, factors: Iterable[nn.Module], rate: float) -> None:
        self._factors, self._rate = tuple(factors), rate

    def parameter_groups(self, trainable: Mapping[str, nn.Parameter]) -> Iterable[ParameterGroup]:
        """Return the group of these parameters."""
        parameters = tuple(parameter for factor in self._factors for parameter in factor.parameters())
        yield ParameterGroup(parameters, learning_rate_factor=self._rate)
