"""autopeft export: a trial out of its run, for use elsewhere."""

from pathlib import Path
from typing import Annotated

import typer


def export(
    run: Annotated[Path, typer.Argument(help="Folder of a run, such as runs/demo.")],
    trial: Annotated[int, typer.Option(min=0, help="Number of the trial; see: autopeft show RUN.")],
    to: Annotated[str, typer.Option(help="What to make of it; see: autopeft list targets.")],
    out: Annotated[Path | None, typer.Option(help="Folder to write, new or empty.", show_default="RUN/exports/<trial>-<target>")] = None,
) -> None:
    """Export a trial: peft makes a folder that PeftModel.from_pretrained loads, script a training script with the saved adapter.

    Prints the folder written.

    Examples:
      autopeft export runs/demo --trial 7 --to script

      autopeft export runs/demo --trial 12 --to peft --out my-adapter
    """
    from autopeft.export.writing import export_trial
    from autopeft.study.directory import RunDirectory

    typer.echo(export_trial(RunDirectory.open(run), trial, to, out))
