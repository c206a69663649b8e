"""The command line: one verb a file. Heavy imports live inside the verbs, so that --help answers at once."""

import errno
import os
import sys
from typing import Annotated

import typer

from autopeft import __version__
from autopeft.cli.baselines import baselines
from autopeft.cli.check import check
from autopeft.cli.doctor import doctor
from autopeft.cli.export import export
from autopeft.cli.list import list_names
from autopeft.cli.plot import plot
from autopeft.cli.predict import predict
from autopeft.cli.report import report
from autopeft.cli.retrain import retrain
from autopeft.cli.search import search
from autopeft.cli.show import show
from autopeft.cli.suggest import suggest
from autopeft.cli.verb import Verb
from autopeft.cli.watch import watch
from autopeft.errors import NO_ROOM, AutopeftError, InvalidInputError, UnavailableError

_OF_PATHS = {errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ELOOP}
"""What the system says of a path that someone has given, whichever verb meets it first."""

_LEFT_OUT = {
    "ray": "Trials run in this process with --workers 0; for workers: pip install 'autopeft[ray]'",
    "plotly": "Pages and plots need it: pip install 'autopeft[plot]'",
    "matplotlib": "Pictures need it: pip install 'autopeft[plot]'",
    "datasets": "Data sets of the hub need it, own files and --task demo don't: pip install 'autopeft[hub]'",
}
"""By package without which a search in one process on own files runs, what to do where one of them is needed after all."""

app = typer.Typer(
    name="autopeft",
    help="Find the parameter-efficient fine-tuning configuration for your model, your data and your budget.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Try it: autopeft search --task demo --trials 12",
)
app.command(name="search", cls=Verb, no_args_is_help=True)(search)
app.command(name="check", cls=Verb, no_args_is_help=True)(check)
app.command(name="suggest", cls=Verb, no_args_is_help=True)(suggest)
app.command(name="show", cls=Verb)(show)
app.command(name="plot", cls=Verb)(plot)
app.command(name="report", cls=Verb)(report)
app.command(name="watch", cls=Verb)(watch)
app.command(name="retrain", cls=Verb)(retrain)
app.command(name="baselines", cls=Verb)(baselines)
app.command(name="export", cls=Verb)(export)
app.command(name="predict", cls=Verb)(predict)
app.command(name="list", cls=Verb)(list_names)
app.command(name="doctor", cls=Verb)(doctor)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"autopeft {__version__}")
        raise typer.Exit


def _forget_no_width() -> None:
    """Forget a width of the terminal at which the library that writes the help writes nothing."""
    if os.environ.get("COLUMNS", "").strip() in ("0", "1"):
        del os.environ["COLUMNS"]


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line. Errors of ours are one message and an exit code; anything else is a bug and shows its traceback."""
    _forget_no_width()
    try:
        app()
    except AutopeftError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        said: AutopeftError
        if error.errno in NO_ROOM:
            said = UnavailableError(
                f"a file can't be written: {error.strerror}", value=error.filename or ..., remedy="Make room, then try again."
            )
        elif error.errno in _OF_PATHS and isinstance(error.filename, str):
            said = InvalidInputError(f"a path can't be used: {error.strerror}", value=error.filename, remedy="Check it.")
        else:
            raise
        print(f"error: {said}", file=sys.stderr)
        sys.exit(said.exit_code)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _LEFT_OUT:
            raise
        print(f"error: {package} is not installed. {_LEFT_OUT[package]}", file=sys.stderr)
        sys.exit(UnavailableError.exit_code)
