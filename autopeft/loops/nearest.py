"""The point of a search space that comes nearest to a configuration."""

from collections.abc import Mapping
from dataclasses import replace

from autopeft.configuration import Configuration, PeftModule, Scalar
from autopeft.methods.registry import get_method
from autopeft.space.parameter import Categorical, Ordinal, Real
from autopeft.space.space import SearchSpace
from autopeft.training_parameters import DEFAULTS, TrainingValue


def holders(configuration: Configuration, space: SearchSpace) -> dict[str, PeftModule]:
    """Return, by the slot of the space that can hold it, each module that has one, with its targets filled in."""
    found: dict[str, PeftModule] = {}
    for module in configuration.modules:
        slots = [slot for slot in space.slots if slot.name not in found and any(one.method == module.method for one in slot.choices)]
        if slots:
            found[slots[0].name] = replace(module, targets=module.targets or get_method(module.method).default_targets)
    return found


def point_near(configuration: Configuration, space: SearchSpace) -> dict[str, Scalar] | None:
    """Return the nearest point; modules that the space has no place for are left out. None if it has a place for none of them."""
    choices = holders(configuration, space)
    return space.point_near(choices) | rates_near(configuration.training, space) if choices else None


def rates_near(training: Mapping[str, TrainingValue], space: SearchSpace) -> dict[str, Scalar]:
    """Return the nearest values of training hyper-parameters that the space searches; of lists, of what is left out too."""
    found: dict[str, Scalar] = {}
    for parameter in space.training:
        value = training.get(parameter.name, None if isinstance(parameter, Real) else DEFAULTS.get(parameter.name))
        match parameter, value:
            case Real(), float() | int():
                found[parameter.name] = min(max(value, parameter.low), parameter.high)
            case Ordinal(), float() | int():
                found[parameter.name] = min(parameter.values, key=lambda one: abs(one - value))
            case Categorical(), str() if value in parameter.values:
                found[parameter.name] = value
    return found
