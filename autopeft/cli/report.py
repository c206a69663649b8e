"""autopeft report: all that a run found and how, for someone who didn't run it."""

from pathlib import Path
from typing import Annotated

import typer

from autopeft.cli.formats import split_names
from autopeft.cli.opening import say_first


def report(
    run: Annotated[Path, typer.Argument(help="Folder of a run, such as runs/demo.")],
    out: Annotated[Path | None, typer.Option(help="Folder to write to.", show_default="RUN/report")] = None,
    formats: Annotated[str, typer.Option("--format", help="html, md, json; several separated by commas.")] = "html",
) -> None:
    """Write a report of a run, readable by someone who didn't run it: one HTML page that works offline, Markdown or JSON.

    It has the front, what was retrained with intervals, which parameters and layers mattered, learning curves, costs, every
    setting and the command that runs the search again. Prints the paths of the files written.

    Examples:
      autopeft report runs/demo

      autopeft report runs/demo --format html,md,json --out reports
    """
    say_first("gathering what was found", to_people_only=True)
    from autopeft.report.content import gather
    from autopeft.report.writing import write
    from autopeft.study.directory import RunDirectory

    directory = RunDirectory.open(run)
    names = split_names(formats)
    for path in write(gather(directory), out or directory.report_path, names):
        typer.echo(path)
