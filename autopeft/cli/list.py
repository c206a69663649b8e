"""autopeft list: names that other verbs take."""

import json
from enum import StrEnum
from typing import Annotated, Any

import typer

from autopeft.cli.formats import Format


class Kind(StrEnum):
    """What can be listed."""

    TASKS = "tasks"
    KINDS = "kinds"
    METHODS = "methods"
    SPACES = "spaces"
    RECIPES = "recipes"
    SAMPLERS = "samplers"
    PRESETS = "presets"
    TARGETS = "targets"


def list_names(
    kind: Annotated[Kind, typer.Argument(help="What to list.")],
    output: Annotated[Format, typer.Option("--format", help="How to print it.")] = Format.TABLE,
) -> None:
    """List the tasks, kinds of task, PEFT methods, search spaces, recipes of training, samplers, presets or export targets there are.

    Example: autopeft list methods --format json
    """
    rows = _ROWS[kind]()
    if output is Format.JSON:
        typer.echo(json.dumps(rows, indent=2))
        return
    from autopeft.report.table import aligned

    names = list(rows[0])
    typer.echo("\n".join(aligned([tuple(names), *(tuple(str(row[name]) for name in names) for row in rows)])))


def _tasks() -> list[dict[str, Any]]:
    from autopeft.tasks import get_task, task_names

    tasks = [get_task(name) for name in task_names()]
    return [
        {
            "name": task.name,
            "kind": task.kind,
            "labels": len(task.labels) or "-",
            "metric": task.metric,
            "trial budget": task.low_cost.describe(),
        }
        for task in tasks
    ]


def _kinds() -> list[dict[str, Any]]:
    from autopeft.tasks import family_class, family_names

    families = [family_class(name) for name in family_names()]
    return [{"name": family.name, "predicts": family.summary, "columns": family.columns_in_words} for family in families]


def _methods() -> list[dict[str, Any]]:
    from autopeft.methods.registry import all_methods

    return [
        {
            "name": method.name,
            "kind": method.kind,
            "size": method.size_name or "-",
            "merges": "yes" if method.merges else "no",
            "needs": method.needs,
            "paper": method.paper,
            "summary": method.summary,
        }
        for method in all_methods()
    ]


def _spaces() -> list[dict[str, Any]]:
    from autopeft.space.reader import describe_builtins

    return [{"name": name, "description": description} for name, description in describe_builtins().items()]


def _recipes() -> list[dict[str, Any]]:
    from autopeft.configuration import written
    from autopeft.training_parameters import TRAINING_PARAMETERS

    return [
        {
            "name": one.name,
            "default": written(one.default),
            "suggested": ", ".join(map(written, one.values)) or "-",
            "summary": one.summary,
            "paper": one.paper or "-",
        }
        for one in TRAINING_PARAMETERS.values()
    ]


def _samplers() -> list[dict[str, Any]]:
    from autopeft.samplers.registry import SAMPLERS

    return [{"name": name, "summary": entry.summary} for name, entry in SAMPLERS.items()]


def _presets() -> list[dict[str, Any]]:
    from autopeft.methods.presets import PRESETS

    return [{"name": name, "summary": preset.summary, "paper": preset.paper} for name, preset in PRESETS.items()]


def _targets() -> list[dict[str, Any]]:
    from autopeft.export.registry import TARGETS

    return [{"name": name, "summary": target.summary} for name, target in TARGETS.items()]


_ROWS = {
    Kind.TASKS: _tasks,
    Kind.KINDS: _kinds,
    Kind.METHODS: _methods,
    Kind.SPACES: _spaces,
    Kind.RECIPES: _recipes,
    Kind.SAMPLERS: _samplers,
    Kind.PRESETS: _presets,
    Kind.TARGETS: _targets,
}
