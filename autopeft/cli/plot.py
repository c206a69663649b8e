"""autopeft plot: a run's front as pictures and files."""

from pathlib import Path
from typing import Annotated

import typer

from autopeft.cli.formats import split_names
from autopeft.cli.opening import say_first


def plot(
    run: Annotated[Path, typer.Argument(help="Folder of a run, such as runs/demo.")],
    out: Annotated[Path | None, typer.Option(help="Folder to write to.", show_default="RUN/report")] = None,
    formats: Annotated[str, typer.Option("--format", help="Which plots to write, separated by commas.")] = "html,png,svg",
) -> None:
    """Plot a run's Pareto front: an HTML page that works offline, PNG and SVG, with leaderboard.csv and front.json beside them.

    Prints the paths of the files written.

    Examples:
      autopeft plot runs/demo

      autopeft plot runs/demo --out figures --format svg
    """
    say_first("drawing the front", to_people_only=True)
    from autopeft.report.files import plot_run
    from autopeft.study.directory import RunDirectory

    for path in plot_run(RunDirectory.open(run), out, split_names(formats)):
        typer.echo(path)
