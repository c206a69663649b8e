"""Finds a registered task's examples: generated, in a data folder, or on the hub."""

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from autopeft.errors import InvalidInputError, UnavailableError
from autopeft.tasks.assembly import assemble, without_hidden
from autopeft.tasks.entry import Entry, Role
from autopeft.tasks.hub_tables import load_dataset_tables
from autopeft.tasks.reading import SUFFIXES, read_table
from autopeft.tasks.registry import find, task_names
from autopeft.tasks.table import Table
from autopeft.tasks.task import Task, TaskData

DATA_VARIABLE = "AUTOPEFT_DATA"
"""Environment variable with a data folder, for when none is given."""


def load(name: str, *, data_dir: str | os.PathLike[str] | None = None, offline: bool = False, with_test: bool = False) -> TaskData:
    """Load a registered task.

    Args:
        name: The task's name.
        data_dir: A folder with one sub-folder per task that holds train, validation and test files (Parquet, CSV, TSV, JSON or
            JSON Lines). None: the folder that AUTOPEFT_DATA names, if any. A task without a sub-folder is looked for on the hub.
        offline: Whether to leave the network alone; HF_HUB_OFFLINE=1 does the same.
        with_test: Whether to return the test data. The training data is the same either way.

    Raises:
        UnknownNameError: No task has this name.
        InvalidInputError: The data folder is missing, or a file in it is missing or malformed; or the name is that of own files.
        UnavailableError: No folder has the task, and the hub can't be reached; known within five seconds.
    """
    data_dir = data_dir or os.environ.get(DATA_VARIABLE) or None
    if name not in task_names():
        _refuse_own_files(name, data_dir)
    entry = find(name)
    tables = dict(_find_tables(entry, data_dir, offline))
    train = tables.pop("train")
    held_out, why_missing = without_hidden(train, tables, entry.task.target_column)
    return assemble(entry.task, train, held_out, ids=_accepted_ids(entry.task), why_missing=why_missing, with_test=with_test)


def _refuse_own_files(name: str, data_dir: str | os.PathLike[str] | None) -> None:
    """Say how to use files that a task's name is the folder or the path of.

    Raises:
        InvalidInputError: There is such a folder or file.
    """
    places = [Path(data_dir) / name] if data_dir is not None else []
    for place in (*places, Path(name)):
        if place.is_file():
            remedy = f"Its examples are used with: --train {shlex.quote(str(place))} --text COLUMN[,COLUMN] --label COLUMN."
            raise InvalidInputError("a task is a registered name, and this is a file", value=name, remedy=remedy)
        if place.is_dir():
            files = {role: path for role in ("train", "validation", "test") if (path := _data_file(place, [role]))}
            flags = " ".join(f"--{role} {shlex.quote(str(path))}" for role, path in files.items()) if "train" in files else "--train FILE"
            raise InvalidInputError(
                f"there is no registered task of this name, and the folder {place} holds own files",
                value=name,
                remedy=f"They are used with: {flags} --text COLUMN[,COLUMN] --label COLUMN. Registered: autopeft list tasks.",
            )


def _accepted_ids(task: Task) -> dict[str, int]:
    """Labels of registered tasks may be ids, as on the hub, or names."""
    return {str(index): index for index in range(len(task.labels))} | {label: index for index, label in enumerate(task.labels)}


def _find_tables(entry: Entry, data_dir: str | os.PathLike[str] | None, offline: bool) -> Mapping[Role, Table]:
    if entry.generate is not None:
        return entry.generate()
    if data_dir is not None:
        if not Path(data_dir).is_dir():
            raise InvalidInputError("the data folder does not exist", value=str(data_dir), remedy=f"Check --data-dir or {DATA_VARIABLE}.")
        if (folder := Path(data_dir) / entry.task.name).is_dir():
            return _read_folder(entry, folder)
    return _load_from_hub(entry, data_dir, offline)


def _read_folder(entry: Entry, folder: Path) -> Mapping[Role, Table]:
    splits = entry.hub.splits if entry.hub else {}
    # MNLI's splits have names of their own. Some collections put labelled test data beside the public, hidden one.
    stems = {role: [role, splits.get(role, role)] for role in ("train", "validation", "test")}
    stems["test"].insert(0, "test_labelled")
    found = {role: path for role in stems if (path := _data_file(folder, stems[role]))}
    if "train" not in found:
        raise InvalidInputError(f"the folder {folder} must hold a file train.* that ends in one of {', '.join(SUFFIXES)}")
    return {role: read_table(path) for role, path in found.items()}


def _data_file(folder: Path, stems: Sequence[str]) -> Path | None:
    return next((path for stem in stems for suffix in SUFFIXES if (path := folder / f"{stem}{suffix}").is_file()), None)


def _load_from_hub(entry: Entry, data_dir: str | os.PathLike[str] | None, offline: bool) -> Mapping[Role, Table]:
    searched = f"no folder {Path(data_dir) / entry.task.name}" if data_dir else "no data folder was given"
    remedy = (
        f"Either give a folder that has a sub-folder {entry.task.name} with train, validation and test files (--data-dir FOLDER or "
        f"{DATA_VARIABLE}=FOLDER), or run where the hub can be reached; --task demo needs neither."
    )
    problem = f"there are no examples for the task {entry.task.name!r}: {searched}, and"
    if entry.hub is None:
        raise UnavailableError(f"{problem} it is not on the hub", remedy=remedy)
    try:
        return load_dataset_tables(entry.hub, offline)
    except UnavailableError as error:
        raise UnavailableError(f"{problem} {error.rule}", remedy=remedy) from error
