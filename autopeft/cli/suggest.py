"""autopeft suggest: configurations that are known to be good, for a backbone, without any training."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autopeft.cli import completion
from autopeft.cli.formats import Format, split_names
from autopeft.cli.opening import say_first

if TYPE_CHECKING:
    from autopeft.loops.planning import SearchPlan


def suggest(
    task: Annotated[str | None, typer.Option(help="A task by name; see: autopeft list tasks.", autocompletion=completion.tasks)] = None,
    train: Annotated[str | None, typer.Option(help="Own training examples.")] = None,
    kind: Annotated[
        str | None, typer.Option(help="What kind of task own files are; see: autopeft list kinds.", autocompletion=completion.kinds)
    ] = None,
    language: Annotated[str | None, typer.Option(help="What is spoken, such as de.")] = None,
    text: Annotated[str, typer.Option(help="Own files' column to read, or two: a,b.")] = "",
    label: Annotated[str | None, typer.Option(help="Own files' column to predict.")] = None,
    data_dir: Annotated[
        str | None, typer.Option("--data-dir", envvar="AUTOPEFT_DATA", help="A folder with one sub-folder of files a task.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="A hub id or a folder.", show_default="all-MiniLM-L6-v2")] = None,
    space: Annotated[
        str,
        typer.Option(help="A search space by name, or a YAML file; what it can't express is left out.", autocompletion=completion.spaces),
    ] = "default",
    plugins: Annotated[list[str] | None, typer.Option("--plugin", help="An own Python file that registers methods or tasks.")] = None,
    max_params: Annotated[str | None, typer.Option("--max-params", help="Most trainable parameters: 200k, or 0.5% of the model's.")] = None,
    offline: Annotated[bool, typer.Option(help="Never ask the hub.")] = False,
    output: Annotated[Format, typer.Option("--format", help="For eyes, or one JSON object per configuration.")] = Format.TABLE,
) -> None:
    """Print configurations that are good on most tasks, with their exact numbers of parameters; nothing is trained.

    They are what a search tries first, best first. Take one when there is no time to search at all.

    Examples:
      autopeft suggest --task mrpc

      autopeft suggest --task mrpc --model roberta-base --max-params 0.5% --format json
    """
    say_first("finding task and model", to_people_only=True)
    from autopeft.loops.planning import plan
    from autopeft.request import SearchRequest

    request = SearchRequest(
        task=task,
        train=train,
        kind=kind,
        language=language,
        text=tuple(split_names(text)),
        label=label,
        data_dir=data_dir,
        model=model,
        space=space,
        plugins=tuple(plugins or ()),
        max_params=max_params,
        offline=offline,
        workers=0,
    )
    rows, head = _rows(plan(request))
    if output is Format.JSON:
        typer.echo(json.dumps(rows, indent=2))
        return
    from autopeft.report.formatting import count, percentage
    from autopeft.report.table import aligned

    lines = [("name", "parameters", "% of model", "configuration")]
    lines += [
        (row["name"], count(row["trainable_parameters"]), percentage(row["trainable_parameters"], row["backbone_parameters"]), row["words"])
        for row in rows
    ]
    typer.echo("\n".join(aligned(lines)))
    typer.echo(f"The task head, {count(head)} parameters, is trained in each of them and comes on top.", err=True)


def _rows(plan: "SearchPlan") -> tuple[list[dict[str, Any]], int]:
    """Return what is said of each configuration, and the head's parameters.

    Raises:
        InvalidInputError: The space and the bounds leave none.
    """
    from autopeft.errors import InvalidInputError
    from autopeft.loops.portfolio import parameters_of, portfolio_points

    points = portfolio_points(plan.problem, plan.facts.topology)
    if not points:
        raise InvalidInputError(
            f"the space {plan.space.name} and its bounds leave none of the known configurations",
            remedy="Allow more parameters, take another space, or search: autopeft search.",
        )
    rows = []
    for name, point in points.items():
        configuration = plan.space.configuration(point)
        rows.append(
            {
                "name": name,
                "trainable_parameters": int(parameters_of(point, plan.problem)),
                "backbone_parameters": plan.facts.backbone_parameters,
                "head_parameters": plan.facts.head_parameters,
                "words": configuration.describe(),
                "configuration": configuration.to_dict(),
            }
        )
    return rows, plan.facts.head_parameters
