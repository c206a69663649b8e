"""What a verb says before it imports what takes seconds."""

import sys

from autopeft import __version__


def say_first(what: str, *, to_people_only: bool = False) -> None:
    """Say on standard error what is about to happen: a blank screen looks like a program that hangs.

    Args:
        what: Such as "loading task and model".
        to_people_only: Whether to keep quiet where no terminal looks on, as of a verb that takes only seconds.
    """
    if sys.stderr.isatty() or not to_people_only:
        print(f"autopeft {__version__}: {what} ...", file=sys.stderr, flush=True)
