"""What people look at beyond metrics, on disk: details.json beside a trial's curve, or beside the result of a retraining."""

import json
from collections.abc import Sequence
from pathlib import Path

from autopeft.errors import InvalidInputError
from autopeft.forms import read_json
from autopeft.tasks.details import Detail

_NAME = "details.json"


def details_file(details: Sequence[Detail]) -> dict[str, bytes]:
    """Return the file by its name; none where there is nothing to look at."""
    return {_NAME: json.dumps([one.to_dict() for one in details]).encode() + b"\n"} if details else {}


def read_details(folder: Path) -> tuple[Detail, ...]:
    """Return what a folder holds: nothing of what an earlier version trained, or where the file was cut or edited."""
    try:
        return tuple(Detail.from_dict(one) for one in read_json(folder / _NAME, list[Detail], constants=False))
    except InvalidInputError:
        return ()
