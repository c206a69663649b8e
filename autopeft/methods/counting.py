"""Check a configuration against a topology, and count what it trains, without the model."""

from autopeft.configuration import Configuration, PeftModule
from autopeft.errors import InvalidInputError, UnsupportedError
from autopeft.methods.method import KINDS, Method
from autopeft.methods.registry import get_method
from autopeft.methods.topology import Topology


def resolve(configuration: Configuration, topology: Topology) -> list[tuple[Method, PeftModule]]:
    """Return each module with its method and with every default filled in, in the order of injection.

    Raises:
        UnknownNameError: A method, option or target is not known.
        InvalidInputError: A layer is out of range, or a value has the wrong type.
        UnsupportedError: The model cannot take a method, or a layer has none of the targets.
    """
    resolved = []
    for module in configuration.modules:
        method = get_method(module.method)
        if reason := method.unsupported(topology):
            raise UnsupportedError(f"{topology.model_class} cannot take {method.name}: {reason}")
        complete = method.complete(module)
        _check_layers(complete, topology)
        if reason := method.unfit(complete, topology):
            raise UnsupportedError(f"{topology.model_class} cannot take {method.name} of size {module.size}: {reason}")
        resolved.append((method, complete))
    return sorted(resolved, key=lambda pair: KINDS.index(pair[0].kind))


def count_parameters(configuration: Configuration, topology: Topology) -> int:
    """Return the number of parameters that the modules of a configuration train; the task head is not counted.

    Raises:
        AutopeftError: As in `resolve`.
    """
    resolved = resolve(configuration, topology)
    added = sum(method.count(module, topology) for method, module in resolved if method.count is not None)
    unmasked = {name for method, module in resolved if method.selects is not None for name in method.selects(module, topology)}
    return added + sum(tensor.size for tensor in topology.backbone() if tensor.name in unmasked)


def _check_layers(module: PeftModule, topology: Topology) -> None:
    if outside := sorted(set(module.layers or ()) - {block.index for block in topology.blocks}):
        raise InvalidInputError(
            f"{module.method} names layers the model does not have", value=outside, remedy=f"It has layers 0 to {topology.n_layers - 1}."
        )
    for block in topology.placed(module.layers) if module.targets else ():
        if not block.select(module.targets):
            raise UnsupportedError(
                f"layer {block.index} of {topology.model_class} has no linear in the role {' or '.join(module.targets)}",
                remedy=f"It has: {', '.join(sorted({linear.role for linear in block.linears}))}.",
            )
