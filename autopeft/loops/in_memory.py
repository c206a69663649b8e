"""What Python code hands over in memory: written into the run's folder before all else, so that everything reads it from there."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autopeft.errors import AutopeftError
from autopeft.study.directory import RunDirectory
from autopeft.study.disk import writing


@dataclass(frozen=True)
class InMemory:
    """Something in memory that can be written."""

    name: str
    """What the file or folder is called."""
    write: Callable[[Path], object]
    """Writes it to a path."""


@contextmanager
def written(run: RunDirectory, given: Mapping[str, InMemory]) -> Iterator[dict[str, Any]]:
    """Lend the paths of what was handed over, by setting. If the run doesn't begin, they and its folder go again.

    Args:
        run: The run, which this process drives.
        given: What was handed over, by setting.

    Raises:
        UnavailableError: The disk is full.
    """
    paths = {name: run.in_memory_path.absolute() / one.name for name, one in given.items()}
    try:
        with writing(run):
            run.in_memory_path.mkdir(exist_ok=True)
            for name, one in given.items():
                one.write(paths[name])
        yield {name: str(path) for name, path in paths.items()}
    except BaseException as error:
        if not run.settings_path.exists():
            _remove(run, paths.values())
            if isinstance(error, AutopeftError):
                _call_by_setting(error, paths)
        raise


def _remove(run: RunDirectory, paths: Iterable[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    with suppress(OSError):  # there was something else in it before
        run.in_memory_path.rmdir()
    run.remove()


def _call_by_setting(error: AutopeftError, paths: Mapping[str, Path]) -> None:
    """Call what was handed over by its setting: its file is gone when the error is read. A line of JSON Lines is a row."""
    for name, path in paths.items():
        for place, words in ((f"{path}, line ", f"{name}, row "), (str(path), name)):
            error.rule, error.remedy = error.rule.replace(place, words), error.remedy.replace(place, words)
            error.value = error.value.replace(place, words) if isinstance(error.value, str) else error.value
