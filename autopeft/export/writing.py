"""Exporting a trial: whole or not at all."""

import shutil
import stat
from collections.abc import Callable
from pathlib import Path

from autopeft.errors import InvalidInputError, UnsupportedError
from autopeft.export.description import write_description
from autopeft.export.finished_trial import FinishedTrial, read_retrained, read_trial
from autopeft.export.holding import holding_targets, model_type
from autopeft.export.plan import ExportPlan
from autopeft.export.registry import get_target
from autopeft.study.directory import RunDirectory

LOST = "LOST.md"
"""The file of an export that says what is not in it."""


def export_trial(
    run: RunDirectory,
    number: int,
    target: str,
    out: Path | None = None,
    *,
    lossy: bool = False,
    retrained: bool = False,
    onto: str | None = None,
    notify: Callable[[str], object] = lambda note: None,
) -> Path:
    """Write a trial in a target's form.

    Args:
        run: The run that the trial belongs to.
        number: The trial's number.
        target: Name of a target.
        out: Folder to write, which must not exist or be empty. None: `exports/<number>-<target>` in the run, with -retrained where it is.
        lossy: Go on where the target can't express all of the trial; `LOST.md` in the folder then lists what is not in it.
        retrained: Take what `autopeft retrain` trained, the best seed, and not what the search did.
        onto: Of a quantised backbone, which weights to merge into, "dequantised" or "original"; for the target "merged" alone.
        notify: Hears what whoever uses the folder should know; the folder's README.md says it too.

    Returns:
        The folder.

    Raises:
        UnknownNameError: There is no such target.
        InvalidInputError: The folder is in use, or the trial can't be exported: unknown, failed, still running.
        UnsupportedError: The target can't express all of the trial, and not `lossy`; or nothing of use would be left.
        UnavailableError: The trial's backbone or data is needed and can't be loaded.
    """
    planner = get_target(target).planner
    if onto is not None and target != "merged":
        raise InvalidInputError("--onto is for --to merged alone", value=target, remedy="Leave one of them out.")
    out = out or run.exports_path / f"{number:04d}-{target}{'-retrained' if retrained else ''}"
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InvalidInputError("the output folder is in use", value=str(out), remedy="Give another --out, or remove it.")
    trial = read_retrained(run, number) if retrained else read_trial(run, number)
    held = " or ".join(f"--to {one}" for one in holding_targets(trial.configuration, model_type(run.settings())) if one != target)
    try:
        plan = planner(trial) if onto is None else planner(trial, onto)
    except UnsupportedError as error:
        error.remedy = error.remedy or f"Use {held}."
        raise
    if plan.lost and not lossy:
        raise UnsupportedError(
            f"the {target} form can't express all of trial {number}; it would lose: {'; '.join(plan.lost)}",
            remedy=f"To keep everything, use {held}; or go on with --lossy.",
        )
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        written = plan.write(partial)
        write_description(trial, written.task, target, partial)
        _let_weights_follow_the_umask(partial)
        if plan.lost:
            (partial / LOST).write_text(_losses(trial, target, plan), encoding="utf-8")
        if out.exists():
            out.rmdir()
        partial.rename(out)
        for note in written.notes:
            notify(note)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return out


def _let_weights_follow_the_umask(folder: Path) -> None:
    """Give weights the permissions that any new file gets: safetensors 0.8 lets their owner alone read them."""
    new = folder / ".new"
    new.touch()  # tells the umask without changing it for the other threads, as os.umask would
    mode = stat.S_IMODE(new.stat().st_mode)
    new.unlink()
    for path in folder.rglob("*.safetensors"):
        path.chmod(mode)


def _losses(trial: FinishedTrial, target: str, plan: ExportPlan) -> str:
    heading = f"# What this export lost\n\nTrial {trial.record.number} of the run `{trial.run}` was exported to {target} with --lossy."
    return f"{heading} It trained `{trial.configuration.describe()}`. Not in this folder:\n\n" + "".join(f"- {one}\n" for one in plan.lost)
