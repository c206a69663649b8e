"""How pages and drawings look: one style sheet in the colours of `palette`."""

from pathlib import Path
from string import Template

from autopeft.report.palette import DARK, LIGHT, N_METHODS

SHEET = Path(__file__).with_name("page.css")
"""$light and $dark are the colours, $methods the classes of those of methods."""
_METHODS = " ".join(f".m{place} {{ fill: var(--m{place}) }}" for place in range(N_METHODS + 1))


def style_sheet(*, dark: bool = True) -> str:
    """Return the rules; without dark ones, what they are for looks the same whatever people prefer."""
    light = _variables(LIGHT)
    return Template(SHEET.read_text(encoding="utf-8")).substitute(light=light, dark=_variables(DARK) if dark else light, methods=_METHODS)


def _variables(colors: dict[str, str]) -> str:
    return " ".join(f"--{name}: {color};" for name, color in colors.items())
