"""Rich's console, with a width that text can have."""

from rich.console import Console

USUAL = 80
"""Characters of a line where the terminal's width isn't known."""
_NARROWEST = 20
"""What says that it is narrower says nothing: at 0, as some services and editors set COLUMNS, rich prints nothing at all."""


def make_console(*, stderr: bool = False, soft_wrap: bool = False) -> Console:
    """Return a console for standard output or standard error."""
    console = Console(stderr=stderr, highlight=False, soft_wrap=soft_wrap)
    if console.width < _NARROWEST:
        console.width = USUAL
    return console
