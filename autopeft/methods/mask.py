"""Train some of the model's own parameters.

Clones of them are trained, so that the backbone itself stays as it is.
"""

from torch import nn

from autopeft.configuration import PeftModule
from autopeft.methods.registry import get_method
from autopeft.methods.snapshot import stand_in
from autopeft.methods.topology import Topology


def inject(model: nn.Module, module: PeftModule, topology: Topology) -> None:
    """Let clones stand in for the parameters that the module's method selects."""
    selects = get_method(module.method).selects
    chosen = set(selects(module, topology)) if selects is not None else set()
    stand_in(model, [parameter for name, parameter in model.named_parameters() if name in chosen])
