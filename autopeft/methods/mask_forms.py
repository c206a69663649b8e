"""Which of the model's own parameters the mask methods train. The task head is trained anyway and never among them."""

from collections.abc import Iterator

from autopeft.configuration import PeftModule
from autopeft.methods.topology import Tensor, Topology


def biases(module: PeftModule, topology: Topology) -> Iterator[str]:
    """Yield the biases in the chosen layers."""
    return (tensor.name for tensor in _in_layers(module, topology) if tensor.is_bias)


def norms(module: PeftModule, topology: Topology) -> Iterator[str]:
    """Yield the parameters of the norms in the chosen layers."""
    return (tensor.name for tensor in _in_layers(module, topology) if tensor.is_norm)


def last_layers(module: PeftModule, topology: Topology) -> Iterator[str]:
    """Yield everything in the last layers, as many as the module's size."""
    first = topology.n_layers - module.size
    return (tensor.name for tensor in _trainable(topology) if tensor.block is not None and tensor.block >= first)


def everything(module: PeftModule, topology: Topology) -> Iterator[str]:
    """Yield every parameter."""
    return (tensor.name for tensor in _trainable(topology))


def _trainable(topology: Topology) -> Iterator[Tensor]:
    return (tensor for tensor in topology.backbone() if not tensor.is_fixed)


def _in_layers(module: PeftModule, topology: Topology) -> Iterator[Tensor]:
    layers = set(module.layers or ())
    return (tensor for tensor in _trainable(topology) if tensor.block in layers)
