"""What of a configuration may have mattered, in the words of a report, whatever space it came from.

A space's own parameters don't serve: half of them may be moot in a trial (the targets of a LoRA of rank 0), and a set of layers is as
many switches as the backbone has layers. Here what is off is 0 or "off", and a set of layers is its number and mean depth.
"""

from collections.abc import Callable, Sequence
from functools import partial

from autopeft.configuration import Configuration, PeftModule
from autopeft.training_parameters import known

Feature = float | str
"""A number if larger and smaller mean something, else text."""
OFF = "off"


def features(configurations: Sequence[Configuration]) -> dict[str, list[Feature]]:
    """Return, by name, what differs between configurations: one value per configuration."""
    by_method = {method: [_of(one, method) for one in configurations] for method in _methods(configurations)}
    found: dict[str, list[Feature]] = {}
    for method, modules in by_method.items():
        found |= _of_method(_words(method), modules)
    if all(len({module.layers for module in one.modules if module.layers}) <= 1 for one in configurations):
        found |= _of_layers("", [one.modules for one in configurations])
    else:
        for method, modules in by_method.items():
            found |= _of_layers(f"{_words(method)} ", modules)
    for name in sorted({name for one in configurations for name in one.training}):
        found[_words(name)] = [one.training.get(name, known(name).default) for one in configurations]
    return {name: values for name, values in found.items() if len(set(values)) > 1}


def _methods(configurations: Sequence[Configuration]) -> list[str]:
    return sorted({module.method for one in configurations for module in one.modules})


def _of(configuration: Configuration, method: str) -> tuple[PeftModule, ...]:
    return tuple(module for module in configuration.modules if module.method == method)


def _of_method(name: str, modules: Sequence[Sequence[PeftModule]]) -> dict[str, list[Feature]]:
    """Return the size of one method in each configuration; its targets and options, where they differ although it is on."""
    sizes: list[Feature] = [max((float(module.size) for module in some), default=0.0) for some in modules]
    switches = {f"{name} targets": _texts(modules, lambda module: " ".join(module.targets))}
    for option in sorted({option for some in modules for module in some for option in module.options}):
        switches[f"{name} {_words(option)}"] = _texts(modules, partial(_switch, option))
    differing = {key: values for key, values in switches.items() if len(set(values) - {OFF}) > 1}
    return {name if set(sizes) <= {0.0, 1.0} else f"{name} size": sizes, **differing}


def _texts(modules: Sequence[Sequence[PeftModule]], read: Callable[[PeftModule], str]) -> list[Feature]:
    return [" + ".join(sorted({read(module) for module in some})) or OFF for some in modules]


def _switch(option: str, module: PeftModule) -> str:
    return str(module.options.get(option, False))


def _of_layers(prefix: str, modules: Sequence[Sequence[PeftModule]]) -> dict[str, list[Feature]]:
    """Return how many layers modules stand in, and the mean of these layers; where there are none, the middle of the others'."""
    sets = [sorted({layer for module in some for layer in module.layers or ()}) for some in modules]
    means = [sum(layers) / len(layers) if layers else None for layers in sets]
    known = sorted(mean for mean in means if mean is not None)
    middle = known[len(known) // 2] if known else 0.0
    return {
        f"{prefix}number of layers": [float(len(layers)) for layers in sets],
        f"{prefix}mean layer": [middle if mean is None else mean for mean in means],
    }


def _words(name: str) -> str:
    return name.replace("_", " ")
