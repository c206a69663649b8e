"""What JSON files that people can edit must hold, said by type hints: readers go on with values of these types alone.

A form is a type of JSON values, a list, a mapping, a union, a `Literal`, a `TypedDict`, a dataclass whose fields the JSON object has,
`Annotated[int, n]`, a whole number of n or more, or a dictionary of forms by key, each of which may be missing. Keys that such a dictionary
or a `TypedDict` doesn't name may be there, as later versions may write more.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache, reduce
from operator import or_
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

from autopeft.errors import InvalidInputError

_SCALARS: dict[type, str] = {str: "text", int: "a whole number", float: "a number", bool: "true or false", NoneType: "null"}


class _Finite(float):
    """What a field must be whose hint is float: metrics and draws, which stand in mappings and lists, needn't be finite."""


_SCALARS[_Finite] = "a finite number"
_LARGEST = 10**300
"""Whole numbers above become no float."""


def read_json(path: Path, form: Any, *, nulls: bool = False, constants: bool = True) -> Any:
    """Read a JSON file.

    Args:
        path: The file.
        form: What it must hold.
        nulls: As in `misfit`.
        constants: Whether NaN and Infinity may be there, which JSON doesn't have and Python reads and writes.

    Raises:
        InvalidInputError: The file is not there, no JSON, or holds something else; names the field.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"), parse_constant=None if constants else _refuse)
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidInputError(f"{path.name} can't be read: {error}", value=str(path)) from None
    if wrong := misfit(value, form, nulls=nulls):
        raise InvalidInputError(f"{path.name} can't be read: {wrong}", value=str(path), remedy="Was it edited?")
    return value


def _refuse(constant: str) -> float:
    raise ValueError(f"JSON has no {constant}")


def misfit(value: Any, form: Any, place: str = "", *, nulls: bool = False) -> str:
    """Return how a value differs from a form, as a clause that names the field; empty if it doesn't.

    Args:
        value: What a JSON file holds, or an object of a dataclass.
        form: What it must be.
        place: Where it stands.
        nulls: Whether null stands for numbers that aren't finite, as in what `autopeft.study.rows` writes, and fields may be such.
    """
    if isinstance(value, _Missing):
        return f"{place} is missing"
    if isinstance(value, _Unknown):
        return f"{place} is unknown"
    origin, parts = get_origin(form), get_args(form)
    if form is Any:
        return ""
    if origin in (Union, UnionType):
        found = [misfit(value, part, place, nulls=nulls) for part in parts]
        inside = (one for one, part in zip(found, parts, strict=True) if _is_object(value) and _is_record(part))
        return "" if "" in found else next(inside, _expected(value, form, place))
    if origin is Annotated:
        least = form.__metadata__[0]
        return misfit(value, parts[0], place) or ("" if value >= least else f"{_at(place)} must be {least} or more, and is {value}")
    fits, children = _look_into(value, form, place, nulls)
    if not fits:
        return _expected(value, form, place)
    return next((wrong for child, hint, where in children if (wrong := misfit(child, hint, where, nulls=nulls))), "")


def _look_into(value: Any, form: Any, place: str, nulls: bool) -> tuple[bool, Iterable[tuple[Any, Any, str]]]:
    """Return whether a value is of a form from outside, and what is inside with its forms and places."""
    origin, parts = get_origin(form), get_args(form)
    if origin is Literal:
        return value in parts, ()
    if origin in (list, tuple, Sequence):
        entries = value if isinstance(value, list | tuple) else ()
        return isinstance(value, list | tuple), ((one, parts[0], f"{place}[{index}]") for index, one in enumerate(entries))
    if origin in (dict, Mapping):
        pairs = value.items() if _is_object(value) else ()
        return _is_object(value), ((one, parts[1], _inside(place, name)) for name, one in pairs)
    if _is_record(form):
        return _look_into_record(value, form, place)
    if form in (float, _Finite):
        is_number = isinstance(value, float) or (_is_whole(value) and abs(value) < _LARGEST)
        return (is_number and (form is float or nulls or math.isfinite(value))) or (nulls and value is None), ()
    return (_is_whole(value) if form is int else isinstance(value, form)), ()


def _look_into_record(value: Any, form: Any, place: str) -> tuple[bool, Iterable[tuple[Any, Any, str]]]:
    if isinstance(form, type) and is_dataclass(form) and isinstance(value, form):
        return True, ((getattr(value, name), hint, _inside(place, name)) for name, hint in _hints(form).items())
    if not _is_object(value):
        return False, ()
    hints = form if isinstance(form, dict) else _hints(form)
    required = frozenset() if isinstance(form, dict) else _required(form)
    lacking = [(_Missing(), hints[name], _inside(place, name)) for name in sorted(required - value.keys())]
    unknown = [(_Unknown(), NoneType, _inside(place, name)) for name in value.keys() - hints.keys()] if is_dataclass(form) else []
    return True, [*lacking, *unknown, *((value[name], hint, _inside(place, name)) for name, hint in hints.items() if name in value)]


class _Missing:
    """Stands for a field that must be there."""


class _Unknown:
    """Stands for a field that can't be there."""


def _expected(value: Any, form: Any, place: str) -> str:
    shown = repr(value) if isinstance(value, str | int | float | bool | None) else "a list" if isinstance(value, list) else "an object"
    return f"{_at(place)} must be {_words(form)}, and is {shown if len(shown) < 80 else shown[:80] + '...'}"


def _words(form: Any) -> str:
    origin, parts = get_origin(form), get_args(form)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(map(_words, parts)))
    if origin is Annotated:
        return _words(parts[0])
    if origin is Literal:
        return f"one of {', '.join(map(str, parts))}"
    if origin in (list, tuple, Sequence):
        return "a list"
    return "an object" if _is_record(form) else _SCALARS.get(form, "an object")


def _at(place: str) -> str:
    return place or "its content"


def _inside(place: str, name: object) -> str:
    return f"{place}.{name}" if place else str(name)


def _is_object(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_record(form: Any) -> bool:
    return isinstance(form, dict) or is_typeddict(form) or is_dataclass(form)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


@cache
def _hints(form: Any) -> dict[str, Any]:
    return {name: _strict(_bare(hint)) for name, hint in get_type_hints(form, include_extras=True).items()}


def _bare(hint: Any) -> Any:
    """Return a hint without `Required` or `NotRequired` around it."""
    return get_args(hint)[0] if get_origin(hint) not in (None, Annotated) and "Required" in str(get_origin(hint)) else hint


def _strict(hint: Any) -> Any:
    if hint is float:
        return _Finite
    return reduce(or_, map(_strict, get_args(hint))) if get_origin(hint) in (Union, UnionType) else hint


@cache
def _required(form: Any) -> frozenset[str]:
    if is_typeddict(form):
        return frozenset(form.__required_keys__)
    return frozenset(one.name for one in fields(form) if one.default is MISSING and one.default_factory is MISSING)
