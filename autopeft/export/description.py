"""What an export says of itself to autopeft: what it was trained for, so that it can be used for new examples."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from autopeft.errors import InvalidInputError
from autopeft.export.finished_trial import FinishedTrial
from autopeft.tasks import Task
from autopeft.training.backbone import BackboneSource

NAME = "autopeft.json"
_FORMAT = 1


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
    content = {
        "format": _FORMAT,
        "target": target,
        "task": task.to_dict(),
        "backbone": asdict(trial.backbone),
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
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != _FORMAT:
            raise InvalidInputError(f"this autopeft reads exports of format {_FORMAT}", value=content["format"])
        task, backbone = Task.from_dict(content["task"]), BackboneSource(**content["backbone"])
        return Description(content["target"], task, backbone, content["max_length"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, InvalidInputError):
            raise
        raise InvalidInputError(f"{NAME} can't be read: {error}", value=str(path)) from None
