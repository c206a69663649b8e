"""What every verb of the command line has in common."""

from typing import Any

from typer.core import TyperCommand

from autopeft.errors import near_names


class Verb(TyperCommand):
    """A command that proposes only flags which are spelled much as the unknown one."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the flags; an unknown one is the error that it always is, with better proposals."""
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            given, proposed = getattr(error, "option_name", None), getattr(error, "possibilities", None)
            if given and proposed:
                flags = {flag.lstrip("-"): flag for parameter in self.params for flag in parameter.opts if flag.startswith("--")}
                error.possibilities = [flags[name] for name in near_names(given.lstrip("-"), flags)]  # type: ignore[attr-defined]
            raise
