"""The methods known by name: the built-in ones and those that a user registers."""

from autopeft.configuration import Configuration
from autopeft.errors import InvalidInputError, UnknownNameError
from autopeft.methods import catalogue, mask_catalogue, weight_catalogue
from autopeft.methods.method import KINDS, Method

_METHODS: dict[str, Method] = {method.name: method for method in (*mask_catalogue.METHODS, *weight_catalogue.METHODS, *catalogue.METHODS)}


def register_method(method: Method) -> Method:
    """Make a method known under its name in this process.

    Raises:
        InvalidInputError: The name is taken.
    """
    if method.name in _METHODS:
        raise InvalidInputError("a PEFT method's name may be registered only once", value=method.name)
    _METHODS[method.name] = method
    return method


def get_method(name: str) -> Method:
    """Return the method of this name.

    Raises:
        UnknownNameError: There is none.
    """
    if name not in _METHODS:
        raise UnknownNameError("PEFT method", name, _METHODS)
    return _METHODS[name]


def all_methods() -> tuple[Method, ...]:
    """Return every method, by kind and then by name."""
    return tuple(sorted(_METHODS.values(), key=lambda method: (KINDS.index(method.kind), method.name)))


def positions_taken(configuration: Configuration) -> int:
    """Return how many of the positions that a model can read a configuration's modules take from the text."""
    return sum(get_method(module.method).positions(module) for module in configuration.modules)
