"""From the arguments of a call to a request."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from autopeft.errors import UnknownNameError
from autopeft.loops.retrain import RetrainRequest
from autopeft.request import SearchRequest

Request = TypeVar("Request", SearchRequest, RetrainRequest)


def make_request(kind: type[Request], arguments: Mapping[str, Any]) -> Request:
    """Make a request of those of a function's arguments that are fields of it."""
    refuse_unknown(arguments)
    return kind(**{entry.name: arguments[entry.name] for entry in fields(kind) if entry.name in arguments})


def refuse_unknown(arguments: Mapping[str, Any]) -> None:
    """Check that a function which takes settings was given no others.

    Raises:
        UnknownNameError: It was; names the nearest.
    """
    for name in arguments["unknown"]:
        raise UnknownNameError("setting", name, arguments.keys() - {"self", "path", "unknown"})
