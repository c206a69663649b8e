"""The user's own files of examples beside an exported script, so that its folder can be moved to another machine."""

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autopeft.export.finished_trial import FinishedTrial
from autopeft.tasks import family_of

COPIED_BYTES = 100_000_000
"""The most that the files may have together to be copied."""
_FOLDER = "data"
_ROLES = ("train", "validation", "test")


def place_data(trial: FinishedTrial, folder: Path) -> dict[str, Any]:
    """Copy the trial's own files of texts into the folder; what is large, or refers to other files, stays where it is.

    Args:
        trial: What is exported.
        folder: Where to.

    Returns:
        What names the examples, as in `FinishedTrial.data`; of files that were copied, the path from the folder. Under "sha256" by
        role what was in each file that could be read, under "name" what the task is called.
    """
    files = {role: Path(trial.data[role]) for role in _ROLES if trial.data.get(role)}
    if not files:
        return dict(trial.data)
    found = {role: path for role, path in files.items() if path.is_file()}
    copied: Mapping[str, Path] = {}
    # Tables of images and sounds name other files, by where they are seen from the table.
    is_whole = family_of(trial.task).processor == "AutoTokenizer"
    if is_whole and found.keys() == files.keys() and sum(path.stat().st_size for path in found.values()) <= COPIED_BYTES:
        (folder / _FOLDER).mkdir()
        copied = {role: Path(_FOLDER) / f"{role}{path.suffix}" for role, path in found.items()}
        for role, path in copied.items():
            shutil.copyfile(found[role], folder / path)
    sums = {role: _sha256(path) for role, path in found.items()}
    return {**trial.data, **{role: path.as_posix() for role, path in copied.items()}, "name": trial.task.name, "sha256": sums}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
