"""Errors that carry what went wrong as data and become text only when printed.

Every message states the rule, the value that broke it and the remedy. A subclass also derives from the builtin that a Python
caller would expect, and carries the exit code that the command line answers with.
"""

import errno
from collections.abc import Iterable
from difflib import get_close_matches

_NEAR = 0.75
"""Share of equal letters: one letter wrong in four."""
_MIN_PART = 3
_MAX_SHOWN = 300
"""Characters of a value that a message shows: a document, or a number of thousands of digits, would hide the rest."""

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What the system says where a disk, or a quota on it, is full."""
_MAX_SHOWN_OF_OTHERS = 200
"""Characters of another library's error that a message shows."""


class AutopeftError(Exception):
    """Base of every error that autopeft raises on purpose.

    Args:
        rule: What must hold, or what happened, as a clause without a final full stop.
        value: The value that broke the rule; left out of the text when not given.
        remedy: What to do about it, as a sentence.
    """

    exit_code = 1

    def __init__(self, rule: str, *, value: object = ..., remedy: str = "") -> None:
        super().__init__(rule, value, remedy)
        self.rule, self.value, self.remedy = rule, value, remedy

    def __str__(self) -> str:
        got = "" if self.value is ... else f" (got {_shown(self.value)})"
        stop = "" if not got and self.rule.endswith((".", "?")) else "."
        return f"{self.rule}{got}{stop} {self.remedy}".rstrip()

    def __reduce__(self) -> tuple[object, ...]:
        # The default calls the constructor with positional arguments, and these are keyword-only: errors must cross processes.
        return _rebuild, (type(self), self.__dict__)


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python writes no whole number of more than 4300 digits
        return "a number too long to write"
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 50]}... of {len(text):,} characters"


def _rebuild(cls: type[AutopeftError], state: dict[str, object]) -> AutopeftError:
    error = cls.__new__(cls)
    error.__dict__.update(state)
    return error


def in_one_line(error: Exception) -> str:
    """Return the type and text of an error of any library's, in one line of bounded length."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:_MAX_SHOWN_OF_OTHERS]


class InvalidInputError(AutopeftError, ValueError):
    """What the user gave breaks a rule: a flag, a file, a search space, a configuration."""

    exit_code = 2


class UnknownNameError(InvalidInputError):
    """A name that is in no table. Names the nearest known ones.

    Args:
        kind: What the name stands for, such as "task".
        name: The name got.
        known: The names that would have been accepted.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, sorted(known)
        near = near_names(name, self.known)
        hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else f"Known: {', '.join(self.known)}."
        super().__init__(f"unknown {kind}", value=name, remedy=hint)


def near_names(name: str, known: Iterable[str]) -> list[str]:
    """Return up to three names that may have been meant: spelled much the same, of the same letters, or with the name inside.

    Names that merely share an ending, such as summarization and classification, are another thing, and to propose them misleads.
    """
    known = list(known)
    swapped = [one for one in known if sorted(one) == sorted(name)]
    within = [one for one in known if len(name) >= _MIN_PART and name.lower() in one.lower()]
    return list(dict.fromkeys([*get_close_matches(name, known, n=3, cutoff=_NEAR), *swapped, *within]))[:3]


class UnavailableError(AutopeftError, OSError):
    """Something outside the program is missing or broken: a hub, a package, the weights of a model."""

    exit_code = 3


class DeviceError(UnavailableError):
    """A device can't be used: it isn't there, or it has failed."""


class UnsupportedError(AutopeftError, NotImplementedError):
    """A PEFT method cannot be applied to this model, or a configuration cannot be expressed in an export target."""

    exit_code = 2


class VerificationError(AutopeftError, RuntimeError):
    """What was built differs from what the configuration asked for, or a checkpoint does not fit the model."""


def hides_a_stop(error: BaseException | None) -> bool:
    """Return whether an error came up while a KeyboardInterrupt passed: where that hits a context manager, its end may fail over it."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None
