"""autopeft check: look at a task's data without training."""

import json
from typing import Annotated

import typer

from autopeft.cli import completion
from autopeft.cli.formats import Format, split_names


def check(
    task: Annotated[str | None, typer.Option("--task", help="A task by name.", autocompletion=completion.tasks)] = None,
    train: Annotated[str | None, typer.Option("--train", help="Own training examples.")] = None,
    validation: Annotated[str | None, typer.Option("--validation", help="Own validation examples; else cut from --train.")] = None,
    test: Annotated[str | None, typer.Option("--test", help="Own test examples; else cut from --train.")] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", help="A data set of the hub: owner/name[:configuration].")] = None,
    splits: Annotated[str | None, typer.Option("--splits", help="Which of its splits serve as what: validation=dev.")] = None,
    kind: Annotated[
        str | None,
        typer.Option("--kind", help="What kind of task own data are; see: autopeft list kinds.", autocompletion=completion.kinds),
    ] = None,
    language: Annotated[str | None, typer.Option("--language", help="What is spoken, such as de.")] = None,
    text: Annotated[str | None, typer.Option("--text", help="Own data's column to read, or several: a,b.")] = None,
    label: Annotated[str | None, typer.Option("--label", help="Own data's column to predict.")] = None,
    data_dir: Annotated[
        str | None, typer.Option("--data-dir", envvar="AUTOPEFT_DATA", help="A folder with one sub-folder of files a task.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="The model whose tokenizer counts tokens: a hub id or a folder.")] = None,
    max_length: Annotated[int | None, typer.Option("--max-length", min=1, help="Tokens after which a text is cut.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Never ask the hub.")] = False,
    output: Annotated[Format, typer.Option("--format", help="How to print it.")] = Format.TABLE,
) -> None:
    """Say what kind of task the examples are, and what may be wrong with them: the same that a search says at its start.

    Test examples are looked at too, for ones that stand in the training data; nothing is measured on them.

    Example: autopeft check --train train.csv
    """
    from autopeft.loops.data import load_data, low_cost_budget
    from autopeft.loops.lengths import lengths_at_hand
    from autopeft.request import SearchRequest
    from autopeft.tasks import family_of
    from autopeft.tasks.checks import findings

    request = SearchRequest(
        task=task,
        train=train,
        validation=validation,
        test=test,
        dataset=dataset,
        splits=tuple(split_names(splits or "")),
        kind=kind,
        language=language,
        text=tuple(split_names(text or "")),
        label=label,
        data_dir=data_dir,
        model=model,
        max_length=max_length,
        offline=offline,
    )
    data = load_data(request, with_test=True)
    budget = low_cost_budget(request, data)
    found = [*findings(data, budget), *lengths_at_hand(request, data, budget)]
    if output is Format.JSON:
        typer.echo(json.dumps({"task": data.task.to_dict(), "data": list(data.notes), "findings": found}, indent=2))
        return
    reads = f"reads {', '.join(data.task.input_columns)}; predicts {data.task.target_column}; measured by {', '.join(data.task.metrics)}"
    if (family := family_of(data.task)).may_write(data.train):
        names = ", ".join(metric.name for metric in family.written_metrics)
        reads += f"; may be searched by texts that models write: {names}"
    typer.echo("\n".join([f"task {data.task.name}: {reads}", *data.notes, *found]))
