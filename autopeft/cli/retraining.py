"""What the verbs that retrain share: how they end, and how they print what came of it."""

import json
from collections.abc import Callable

import typer

from autopeft.cli.formats import TableFormat
from autopeft.cli.stopping import heed_termination
from autopeft.report.console import make_console
from autopeft.report.retrained import summarise
from autopeft.report.table import show
from autopeft.report.training_progress import RetrainProgress
from autopeft.study.retrained import RetrainedFolder


def print_results(folder: RetrainedFolder, output: TableFormat) -> None:
    """Print what a folder holds, and write its retrained.json."""
    found = summarise(folder)
    if output is TableFormat.JSON:
        typer.echo(json.dumps(found.to_dict(), indent=2, allow_nan=False))
    elif output is TableFormat.CSV:
        typer.echo(found.to_csv(), nl=False)
    else:
        show(found.introduction(), found.tables(brief=make_console().is_terminal))


def until_stopped(work: Callable[[RetrainProgress], RetrainedFolder]) -> RetrainedFolder:
    """Do some work; Ctrl-C or a termination ends it with everything kept."""
    heed_termination()
    progress = RetrainProgress()
    try:
        return work(progress)
    except KeyboardInterrupt:
        progress.line("stopped; all finished trainings are kept. The same command goes on.")
        raise typer.Exit(130) from None
    finally:
        progress.stop()
