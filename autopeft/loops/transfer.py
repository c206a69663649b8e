"""Configurations found on one backbone, as they read on another.

A layer keeps its relative depth. Layer i of n covers the depths from i / n to (i + 1) / n. Each layer of the deeper model belongs to
the layer of the shallower one that covers its middle, floor((i + 1/2) m / n); a layer of the new model is chosen if any layer that it
belongs to, or that belongs to it, was. So with twice the layers each chosen one becomes two, with half of them two become one; all
layers stay all, and no set becomes empty.

Sizes, targets, which are roles and not names, options and training hyper-parameters stay as they are.
"""

from dataclasses import replace

from autopeft.configuration import Configuration
from autopeft.errors import UnsupportedError
from autopeft.methods.counting import count_parameters
from autopeft.methods.topology import Topology


def transfer(configuration: Configuration, n_layers: int, topology: Topology) -> Configuration:
    """Return a configuration for another backbone.

    Args:
        configuration: Found on a backbone with `n_layers` layers.
        n_layers: How many those are.
        topology: The new backbone.

    Raises:
        UnsupportedError: The new backbone can't take it; names the method.
        InvalidInputError: A layer of the new backbone would hold one method twice.
    """
    found = move(configuration, n_layers, topology.n_layers)
    try:
        count_parameters(found, topology)
    except UnsupportedError as error:
        raise UnsupportedError(f"{configuration.describe()} can't be transferred: {error}") from None
    return found


def move(configuration: Configuration, n_before: int, n_after: int) -> Configuration:
    """Return a configuration for another number of layers, without asking whether a backbone can take it."""
    modules = (
        replace(module, layers=None if module.layers is None else map_layers(module.layers, n_before, n_after))
        for module in configuration.modules
    )
    return Configuration(tuple(modules), configuration.training)


def map_layers(layers: tuple[int, ...], n_before: int, n_after: int) -> tuple[int, ...]:
    """Return the layers of a model of `n_after` layers that stand where these stand in one of `n_before`."""
    if n_after >= n_before:
        return tuple(layer for layer in range(n_after) if _belongs_to(layer, n_after, n_before) in layers)
    return tuple(sorted({_belongs_to(layer, n_before, n_after) for layer in layers}))


def _belongs_to(layer: int, n_deep: int, n_shallow: int) -> int:
    """Return the layer of the shallower model that covers the middle of one of the deeper model, in whole numbers."""
    return (2 * layer + 1) * n_shallow // (2 * n_deep)
