"""Check a configuration against a topology, and count what it trains, without the model."""

from collections.abc import Sequence
from dataclasses import replace

from autopeft.configuration import Configuration, PeftModule
from autopeft.errors import InvalidInputError, UnsupportedError
from autopeft.methods.method import KINDS, Method
from autopeft.methods.registry import get_method
from autopeft.methods.topology import Topology

MAX_REMEMBERED = 100_000
"""Modules that a counter remembers; a space has fewer unless each has layers of its own in a deep model."""


def resolve(configuration: Configuration, topology: Topology) -> list[tuple[Method, PeftModule]]:
    """Return each module with its method and with every default filled in, in the order of injection.

    Raises:
        UnknownNameError: A method, option or target is not known.
        InvalidInputError: A layer is out of range, or a value has the wrong type.
        UnsupportedError: The model cannot take a method, a layer has none of the targets, or two methods can't share a linear.
    """
    found = sorted((_resolve(module, topology) for module in configuration.modules), key=lambda pair: KINDS.index(pair[0].kind))
    _require_alone(found, topology)
    return found


def count_parameters(configuration: Configuration, topology: Topology) -> int:
    """Return the number of parameters that the modules of a configuration train; the task head is not counted.

    Raises:
        AutopeftError: As in `resolve`.
    """
    return ParameterCounter(topology)(configuration)


class ParameterCounter:
    """Counts many configurations for one topology, as `count_parameters` does; a module that stands in several is looked at once."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._counts: dict[PeftModule, tuple[int, frozenset[str]]] = {}
        self._resolved: dict[PeftModule, PeftModule] = {}
        self._sizes = {tensor.name: tensor.size for tensor in topology.backbone()}

    def __call__(self, configuration: Configuration) -> int:
        """Return the number of parameters; errors as in `resolve`."""
        self._check_sharing(configuration)
        each = [self._counted(module) for module in configuration.modules]
        unmasked = frozenset[str]().union(*(names for _, names in each))  # masks may overlap
        return sum(added for added, _ in each) + sum(self._sizes[name] for name in unmasked)

    def resolve(self, configuration: Configuration) -> Configuration:
        """Return what comes of a configuration on this model: defaults filled in, without the layers in which a module trains nothing.

        Raises:
            AutopeftError: As in `resolve`.
        """
        self._check_sharing(configuration)
        return Configuration(tuple(self._standing(module) for module in configuration.modules), configuration.training)

    def _check_sharing(self, configuration: Configuration) -> None:
        methods = [get_method(module.method) for module in configuration.modules]
        if sum(method.kind == "weight" for method in methods) > 1 and any(method.alone for method in methods):
            resolve(configuration, self._topology)

    def _standing(self, module: PeftModule) -> PeftModule:
        if module not in self._resolved:
            _, complete = _resolve(module, self._topology)
            if complete.layers is not None:
                complete = replace(complete, layers=tuple(layer for layer in complete.layers if self._trains(complete, layer)))
            if len(self._resolved) == MAX_REMEMBERED:
                self._resolved.clear()
            self._resolved[module] = complete
        return self._resolved[module]

    def _trains(self, module: PeftModule, layer: int) -> bool:
        added, names = self._counted(replace(module, layers=(layer,)))
        return bool(added or names)

    def _counted(self, module: PeftModule) -> tuple[int, frozenset[str]]:
        """Return how many parameters a module adds, and the names of the backbone's own that it trains."""
        if module not in self._counts:
            method, complete = _resolve(module, self._topology)
            added = method.count(complete, self._topology) if method.count is not None else 0
            names = method.selects(complete, self._topology) if method.selects is not None else ()
            if len(self._counts) == MAX_REMEMBERED:
                self._counts.clear()
            self._counts[module] = added, frozenset(names)
        return self._counts[module]


def _resolve(module: PeftModule, topology: Topology) -> tuple[Method, PeftModule]:
    method = get_method(module.method)
    if reason := method.objection(topology):
        raise UnsupportedError(f"{topology.model_class} cannot take {method.name}: {reason}")
    complete = method.complete(module)
    _check_layers(method, complete, topology)
    if reason := method.objection_to(complete, topology):
        raise UnsupportedError(f"{topology.model_class} cannot take {method.name} of size {module.size}: {reason}")
    return method, complete


def _require_alone(resolved: Sequence[tuple[Method, PeftModule]], topology: Topology) -> None:
    """Check that no two methods change a linear's weight of which one works on plain linears only."""
    changed: dict[str, Method] = {}
    for method, module in resolved if any(method.alone for method, _ in resolved) else ():
        for linear in topology.linears(module.layers, module.targets) if method.kind == "weight" else ():
            other = changed.setdefault(linear.name, method)
            if other is not method and (other.alone or method.alone):
                single, second = (method, other) if method.alone else (other, method)
                raise UnsupportedError(
                    f"{single.name} takes a linear for itself, and {second.name} would change its weight too",
                    value=linear.name,
                    remedy="Give them other layers or targets.",
                )


def _check_layers(method: Method, module: PeftModule, topology: Topology) -> None:
    if outside := sorted(set(module.layers or ()) - topology.layers):
        raise InvalidInputError(
            f"{module.method} names layers the model does not have", value=outside, remedy=f"It has layers 0 to {topology.n_layers - 1}."
        )
    for block in topology.placed(module.layers) if module.layers is not None else ():
        if reason := method.gap(block):
            able = ", ".join(map(str, sorted(method.layers_of(topology))))
            raise UnsupportedError(
                f"layer {block.index} of {topology.model_class} cannot take {method.name}: {reason}", remedy=f"Layers that can: {able}."
            )
    for block in topology.placed(module.layers) if module.targets else ():
        if not block.select(module.targets):
            raise UnsupportedError(
                f"layer {block.index} of {topology.model_class} has no linear in the role {' or '.join(module.targets)}",
                remedy=f"It has: {', '.join(sorted({linear.role for linear in block.linears}))}.",
            )
