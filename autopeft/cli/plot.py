"""autopeft plot: a run's front as pictures and files."""

from pathlib import Path
from typing import Annotated

import typer


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
    from autopeft.report.files import write_report
    from autopeft.report.header import RunHeader
    from autopeft.report.leaderboard import Leaderboard
    from autopeft.study.directory import RunDirectory
    from autopeft.study.study import Study

    directory = RunDirectory.open(run)
    study = Study.open(directory)
    leaderboard = Leaderboard.of(study.records(), study.objectives)
    header = RunHeader.from_settings(directory.settings(), run.resolve().name)
    names = [name.strip() for name in formats.split(",") if name.strip()]
    for path in write_report(leaderboard, header, out or directory.report_path, names):
        typer.echo(path)
