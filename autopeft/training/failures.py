"""What is said of a trial that failed, in one line."""

from autopeft.errors import AutopeftError


def reason(error: BaseException) -> str:
    """Return an error's first line; with its type where the text alone says little, as of a KeyError."""
    text = next(iter(str(error).strip().splitlines()), "")
    if text and isinstance(error, (AutopeftError, RuntimeError)):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def out_of_memory_reason(error: BaseException) -> str:
    """Return the same of a trial that found no room however small its steps were, with what would need less."""
    least = "in as small steps as it can take"
    return f"out of memory, {least}: {reason(error).rstrip('.')}. A shorter --max-length needs less, and so does --dtype bfloat16."
