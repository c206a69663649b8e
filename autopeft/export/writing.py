"""Exporting a trial: whole or not at all."""

import shutil
from pathlib import Path

from autopeft.errors import InvalidInputError
from autopeft.export.registry import get_target
from autopeft.export.subject import read_trial
from autopeft.study.directory import RunDirectory


def export_trial(run: RunDirectory, number: int, target: str, out: Path | None = None) -> Path:
    """Write a trial in a target's form.

    Args:
        run: The run that the trial belongs to.
        number: The trial's number.
        target: Name of a target.
        out: Folder to write, which must not exist or be empty. None: `exports/<number>-<target>` in the run.

    Returns:
        The folder.

    Raises:
        UnknownNameError: There is no such target.
        InvalidInputError: The folder is in use, or the trial can't be exported: unknown, failed, still running.
        UnsupportedError: The target can't express the trial's configuration.
        UnavailableError: The trial's backbone is needed and can't be loaded.
    """
    writer = get_target(target).writer
    out = out or run.exports_path / f"{number:04d}-{target}"
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InvalidInputError("the output folder is in use", value=str(out), remedy="Give another --out, or remove it.")
    trial = read_trial(run, number)
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        writer(trial, partial)
        if out.exists():
            out.rmdir()
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return out
