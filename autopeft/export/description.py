"""What an export says of itself to autopeft: what it was trained for, so that it can be used for new examples."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, TypedDict

from autopeft.errors import InvalidInputError
from autopeft.export.finished_trial import FinishedTrial
from autopeft.forms import read_json
from autopeft.tasks import Task
from autopeft.training.backbone import BackboneSource

NAME = "autopeft.json"
_FORMAT = 1


class _Format(TypedDict):
    format: int


class _Content(TypedDict):
    target: str
    task: Mapping[str, Any]
    backbone: BackboneSource
    max_length: Annotated[int, 1]


@dataclass(frozen=True)
class Description:
    """What an export is."""

    target: str
    """The form that it has."""
    task: Task
    backbone: BackboneSource
    max_length: int
    """Positions after which an example was cut in training."""


def write_description(trial: FinishedTrial, task: Task, target: str, folder: Path) -> None:
    """Write it beside the export, with the trial's task as the export answers it."""
    backbone = trial.backbone_to_pass_on
    if (folder / "config.json").is_file():  # the folder is a model itself, and what it came from is not loaded any more
        backbone = replace(backbone, name=trial.model_title, path="")
    content = {
        "format": _FORMAT,
        "target": target,
        "task": task.without_texts().to_dict(),
        "backbone": asdict(backbone),
        "max_length": trial.budget.max_length,
    }
    (folder / NAME).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_description(folder: Path) -> Description:
    """Read it back.

    Raises:
        InvalidInputError: The folder is no export of this version of autopeft, or the file is damaged.
    """
    path = folder / NAME
    if not path.is_file():
        remedy = "Give a folder that autopeft export wrote, or a run."
        raise InvalidInputError(f"an export is a folder that holds {NAME}", value=str(folder), remedy=remedy)
    if (version := read_json(path, _Format)["format"]) != _FORMAT:
        raise InvalidInputError(f"this autopeft reads exports of format {_FORMAT}", value=version)
    content = read_json(path, _Content)
    return Description(content["target"], Task.from_dict(content["task"]), BackboneSource(**content["backbone"]), content["max_length"])
