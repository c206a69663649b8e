"""autopeft predict: a trained model's answers to new examples."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autopeft.cli import completion
from autopeft.cli.opening import say_first

if TYPE_CHECKING:
    from autopeft.export.predictor import Predictor


def predict(
    folder: Annotated[Path, typer.Argument(help="Folder of a run, such as runs/demo, or of an export.", metavar="RUN")],
    examples: Annotated[Path, typer.Option("--input", help="New examples: CSV, TSV, JSON, JSON Lines or Parquet.")],
    trial: Annotated[
        str | None, typer.Option(help="Of a run: a trial's number, best, knee, or max-params=0.5%.", autocompletion=completion.picks)
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="File to write, .jsonl or .csv.", show_default="JSON lines on standard output")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Of an export: the backbone's folder or hub id.", show_default="where the search had it")
    ] = None,
    retrained: Annotated[bool, typer.Option("--retrained", help="What autopeft retrain made of the trial: of its seeds the best.")] = False,
    max_new_tokens: Annotated[
        int | None, typer.Option(min=1, help="Tokens of a text that the model writes.", show_default="as in the search")
    ] = None,
) -> None:
    """Answer new examples with a trial of a run, or with what autopeft export made of one.

    The file needs the columns that the task reads, and no label. Each row comes back with its prediction and, where there are few
    possible answers, the probability of each.

    Examples:
      autopeft predict runs/demo --trial best --input new.csv --output answers.csv

      autopeft predict runs/demo/exports/0007-merged --input new.jsonl
    """
    say_first("loading the model", to_people_only=output is None)
    from autopeft.export.answers import json_lines, require_writable, write_answers

    if output is not None:
        require_writable(output)
    predictor = _load(folder, trial, model, max_new_tokens, retrained=retrained)
    table, answers = predictor.predict_file(examples)
    if output is None:
        typer.echo(json_lines(answers), nl=False)
    else:
        write_answers(output, table, answers)
        typer.echo(output)


def _load(folder: Path, trial: str | None, model: str | None, max_new_tokens: int | None, *, retrained: bool) -> "Predictor":
    """Return the predictor of an export, or of a trial of a run; what is wrong with a folder or a trial shows before torch is loaded."""
    if (folder / "autopeft.json").is_file():
        if trial is not None or retrained:
            raise typer.BadParameter("an export is one trial already; leave --trial and --retrained out")
        from autopeft.export.predictor import load_predictor

        return load_predictor(folder, model=model, max_new_tokens=max_new_tokens)
    from autopeft.export.finished_trial import read_retrained, read_trial
    from autopeft.loops.selection import choose
    from autopeft.study.directory import RunDirectory

    run = RunDirectory.open(folder)
    if model is not None:
        raise typer.BadParameter("a run knows its model; --model says where that of an export is")
    if trial is None:
        raise typer.BadParameter("say which trial of the run: --trial N, best, knee or max-params=0.5%")
    number = int(trial) if re.fullmatch(r"\d{1,9}", trial) else choose(run, wish=trial)[0].number
    found = read_retrained(run, number) if retrained else read_trial(run, number)
    from autopeft.export.predictor import predictor_of

    return predictor_of(found, max_new_tokens=max_new_tokens)
