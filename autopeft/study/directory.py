"""A run's directory: one run, one folder; deleting the folder deletes the run.

run.json            every setting and where it came from, versions, hardware
study.db            the record of trials (SQLite)
trials.jsonl        one line per finished trial
driver.json         which process drives the run now, and driver.lock that it does; see `lock`
in_memory/          what Python code handed over in memory: train.jsonl and the like, model/
trials/0007/        configuration.json, curve.jsonl, details.json, adapter/, error.txt; see `pauses` for what a paused trial adds;
                    confirmed/: see `confirmed`
report/             plots and tables
exports/            what was exported
retrained/          what was retrained, the baselines' best among it: see autopeft.study.retrained
baselines/          one run per baseline: how it was tuned
transferred/        what was retrained on other tasks and backbones, one folder each as retrained/
"""

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from autopeft.errors import InvalidInputError
from autopeft.forms import misfit, read_json
from autopeft.paths import absolute, command
from autopeft.study.rows import finite, json_line, json_lines
from autopeft.study.settings import READ_DIRECTLY, RunSettings

FORMAT_VERSION = 1

CONFIRMED = "confirmed"
IN_MEMORY = "in_memory"
"""Folder of what Python code handed over in memory, from where all read it."""

_BEFORE_A_RUN = {
    "trials",
    IN_MEMORY,
    "study.db",
    "study.db-journal",
    "driver.lock",
    "driver.json",
    ".driver.json.partial",
    ".run.json.partial",
}
"""What may lie in a folder before run.json, which makes it a run."""


class RunDirectory:
    """Paths and files of one run. Creating the object touches nothing; see `create` and `open`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @staticmethod
    def require_free(path: Path) -> None:
        """Check that a new run may be written to a folder.

        Raises:
            InvalidInputError: It is a file, or a folder that is not empty; what a run left that died before it began counts as empty.
        """
        if path.exists() and not path.is_dir():
            raise InvalidInputError("the output folder is a file", value=str(path), remedy="Give another --out.")
        if path.exists() and any(entry.name not in _BEFORE_A_RUN for entry in path.iterdir()):
            remedy = f"Give another --out, or go on with that run: {command('search', '--resume', path)}"
            raise InvalidInputError("the output folder is in use", value=str(path), remedy=remedy)

    @classmethod
    def create(cls, path: Path) -> "RunDirectory":
        """Make a new run's folder.

        Raises:
            InvalidInputError: The folder exists and is not empty, or can't be written to.
        """
        cls.require_free(path)
        try:
            (path / "trials").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidInputError(f"the output folder can't be made: {error}", value=str(path), remedy="Give another --out.") from None
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> "RunDirectory":
        """Open an existing run's folder.

        Raises:
            InvalidInputError: There is no run, or one of another format version.
        """
        run = cls(path)
        if not run.settings_path.is_file():
            remedy = "Give the folder that a search wrote, such as runs/demo."
            raise InvalidInputError("a run is a folder that holds run.json", value=str(path), remedy=remedy)
        version = run.settings().get("format_version")
        if version != FORMAT_VERSION:
            raise InvalidInputError(f"this autopeft reads run format {FORMAT_VERSION}", value=version)
        return run

    def clear(self) -> None:
        """Forget what a process left that died before the run began; to be called by the process that drives the run."""
        if not self.settings_path.exists():
            self.storage_path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the folder of a run that did not begin, unless it holds something else; to be called by the process that drives it."""
        self.clear()
        with suppress(OSError):
            for name in ("driver.json", "driver.lock"):
                (self.path / name).unlink(missing_ok=True)
            (self.path / "trials").rmdir()
            self.path.rmdir()

    @property
    def settings_path(self) -> Path:
        """Where run.json is."""
        return self.path / "run.json"

    @property
    def storage_path(self) -> Path:
        """Where the study's database is."""
        return self.path / "study.db"

    @property
    def report_path(self) -> Path:
        """Where plots and tables go."""
        return self.path / "report"

    @property
    def in_memory_path(self) -> Path:
        """Where what Python code handed over in memory is."""
        return self.path / IN_MEMORY

    @property
    def exports_path(self) -> Path:
        """Where exports go."""
        return self.path / "exports"

    @property
    def retrained_path(self) -> Path:
        """Where what is retrained goes."""
        return self.path / "retrained"

    @property
    def baselines_path(self) -> Path:
        """Where the runs that tuned the baselines are."""
        return self.path / "baselines"

    @property
    def transferred_path(self) -> Path:
        """Where what is trained on other tasks and backbones goes."""
        return self.path / "transferred"

    def trial_path(self, number: int) -> Path:
        """Return a trial's folder."""
        return self.path / "trials" / f"{number:04d}"

    def adapter_path(self, number: int) -> Path:
        """Return the folder of a trial's trained adapter."""
        return self.trial_path(number) / "adapter"

    def confirmed_path(self, number: int) -> Path:
        """Return the folder of a trial's training at the full budget."""
        return self.trial_path(number) / CONFIRMED

    def settings(self, *needed: str) -> dict[str, Any]:
        """Read run.json; paths of what lies in the run's own folder are as if it had been written where that is now.

        Args:
            needed: What it must hold for the caller, of the entries of `RunSettings`.

        Raises:
            InvalidInputError: The file can't be read, or an entry isn't what `RunSettings` says.
        """
        data: dict[str, Any] = read_json(self.settings_path, RunSettings, constants=False)
        if wrong := misfit(data.get("settings", {}), READ_DIRECTLY, "settings"):
            raise InvalidInputError(f"run.json can't be read: {wrong}", value=str(self.settings_path), remedy="Was it edited?")
        if missing := next((name for name in needed if name not in data), ""):
            raise InvalidInputError(f"run.json can't be read: {missing} is missing", value=str(self.settings_path), remedy="Was it edited?")
        return _moved_along(data, absolute(self.path))

    def asked(self) -> dict[str, dict[str, Any]]:
        """Read what the search was asked for: by setting, its value and source.

        Raises:
            InvalidInputError: run.json doesn't say.
        """
        asked: dict[str, dict[str, Any]] = self.settings("settings")["settings"]
        return asked

    def write_settings(self, settings: Mapping[str, Any]) -> None:
        """Write run.json whole or not at all."""
        write_atomically(self.settings_path, json.dumps(finite({"format_version": FORMAT_VERSION, **settings}), indent=2).encode() + b"\n")

    def write_trial(self, number: int, files: Mapping[str, bytes]) -> None:
        """Write files into a trial's folder; names may hold one slash, such as adapter/adapter.json."""
        for name, content in files.items():
            path = self.trial_path(number) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, content)

    def write_trial_lines(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write trials.jsonl anew, whole or not at all."""
        write_atomically(self.path / "trials.jsonl", json_lines(rows))

    def append_trial_line(self, row: Mapping[str, Any]) -> None:
        """Add one line to trials.jsonl."""
        with (self.path / "trials.jsonl").open("a", encoding="utf-8") as file:
            file.write(json_line(row))


def _moved_along(data: dict[str, Any], here: str) -> dict[str, Any]:
    """Return run.json with paths into in_memory/ as they are since the run was moved, or the run that it is part of."""
    settings = data.get("settings", {})
    written = settings["out"]["value"] if "out" in settings else None
    if not isinstance(written, str) or written == here:
        return data

    def moved(value: object) -> object:
        if not isinstance(value, str) or f"/{IN_MEMORY}/" not in value:
            return value
        run = value.rpartition(f"/{IN_MEMORY}/")[0]
        inside = Path(written).is_relative_to(run)
        return os.path.normpath(os.path.join(here, os.path.relpath(value, written))) if inside else value

    found = {name: entry | {"value": moved(entry["value"])} for name, entry in settings.items()}
    return (
        data | {"settings": found} | ({"model": {name: moved(value) for name, value in data["model"].items()}} if "model" in data else {})
    )


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a crash leaves the old content or the new, never a part."""
    temporary = path.with_name(f".{path.name}.partial")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
