"""autopeft show: a run's front and leaderboard."""

from pathlib import Path
from typing import Annotated

import typer

from autopeft.cli.formats import Format


def show(
    run: Annotated[Path, typer.Argument(help="Folder of a run, such as runs/demo.")],
    output: Annotated[Format, typer.Option("--format", help="For eyes, or one JSON object per trial.")] = Format.TABLE,
    show_all: Annotated[bool, typer.Option("--all", help="On a terminal: every dominated trial, every metric.")] = False,
) -> None:
    """Show a run's Pareto front, then the trials it dominates and those that failed, each with what holds all of it when it is exported.

    Examples:
      autopeft show runs/demo

      autopeft show runs/demo --format json | jq '.[] | select(.on_front)'
    """
    import json
    from functools import partial

    from autopeft.export.holding import holding_targets, model_type
    from autopeft.report.expected import ExpectedFront
    from autopeft.report.header import RunHeader
    from autopeft.report.leaderboard import Leaderboard
    from autopeft.report.table import show_tables
    from autopeft.study.directory import RunDirectory
    from autopeft.study.reader import StudyReader

    directory = RunDirectory.open(run)
    study = StudyReader.open(directory)
    records, objectives, settings = study.records(), study.objectives, directory.settings()
    leaderboard = Leaderboard.of(records, objectives)
    exports_to = partial(holding_targets, model_type=model_type(settings))
    if output is Format.JSON:
        rows = [
            row | ({"exports_to": exports_to(record.configuration)} if record.state == "complete" else {})
            for row, record in zip(leaderboard.rows(), leaderboard.records, strict=True)
        ]
        typer.echo(json.dumps(rows, indent=2, allow_nan=False))
    else:
        header = RunHeader.from_settings(settings, run.resolve().name)
        expected = ExpectedFront.of(records, objectives, study.expectations(), header.n_validation)
        show_tables(leaderboard, header, expected, show_all=show_all, exports_to=exports_to)
