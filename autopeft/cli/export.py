"""autopeft export: a trial out of its run, for use elsewhere."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from autopeft.cli import completion
from autopeft.cli.opening import say_first


def export(
    run: Annotated[Path, typer.Argument(help="Folder of a run, such as runs/demo.")],
    trial: Annotated[
        int | None, typer.Option(min=0, help="Number of the trial; see: autopeft show RUN.", show_default="give it or --pick")
    ] = None,
    pick: Annotated[
        str | None,
        typer.Option(
            help="best, knee, or max-params=0.5%: the best of at most that size.", show_default=False, autocompletion=completion.picks
        ),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(help="What to make of it; see: autopeft list targets.", show_default=False, autocompletion=completion.targets),
    ] = None,
    merge: Annotated[bool, typer.Option("--merge", help="Fold the modules into the backbone's weights; short for --to merged.")] = False,
    lossy: Annotated[
        bool, typer.Option("--lossy", help="Go on where the target can't express all of the trial; LOST.md lists what is not in it.")
    ] = False,
    retrained: Annotated[bool, typer.Option("--retrained", help="What autopeft retrain made of it: of its seeds the best.")] = False,
    onto: Annotated[
        str | None,
        typer.Option(
            help="Weights to merge into where the backbone was quantised: dequantised, which compute what was trained, or original.",
            show_default="dequantised",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write, new or empty.", show_default="RUN/exports/<trial>-<target>")] = None,
) -> None:
    """Export a trial, whole, or say what would be lost.

    peft and adapters make a folder that PeftModel or AdapterHub's library loads, merged a plain transformers model, onnx a graph of that,
    script a training script with the saved adapter, which can express every trial. trl, axolotl, llamafactory and unsloth train language
    models: they get the trial's LoRA and its data to train anew, without the task head, so they need --lossy.

    Prints the folder written, and of peft whether vLLM and Text Generation Inference can serve it.

    Examples:
      autopeft export runs/demo --trial 7 --to script

      autopeft export runs/demo --trial 12 --to peft --out my-adapter

      autopeft export runs/demo --pick best --merge
    """
    if merge == (to is not None):
        raise typer.BadParameter("give either --to TARGET or --merge")
    if (trial is None) == (pick is None):
        raise typer.BadParameter("give either --trial N or --pick best|knee|max-params=0.5%")

    say_first("exporting", to_people_only=True)
    from autopeft.export.writing import export_trial
    from autopeft.loops.selection import choose
    from autopeft.study.directory import RunDirectory

    directory = RunDirectory.open(run)
    number = choose(directory, wish=pick)[0].number if trial is None else trial
    notify = partial(typer.echo, err=True)
    typer.echo(export_trial(directory, number, to or "merged", out, lossy=lossy, retrained=retrained, onto=onto, notify=notify))
