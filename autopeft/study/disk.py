"""What a full disk comes to: an error that says where, and nothing lost."""

from collections.abc import Iterator
from contextlib import contextmanager

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import OperationalError

from autopeft.errors import NO_ROOM, UnavailableError
from autopeft.paths import command
from autopeft.study.directory import RunDirectory

_SQLITE_FULL = ("disk is full", "disk I/O error")


@contextmanager
def writing(run: RunDirectory) -> Iterator[None]:
    """Say so when there is no room to write a run. What was announced is stored; what was not is trained again after --resume.

    Raises:
        UnavailableError: The disk, or the quota on it, is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise _full(run, error) from error
    except (StorageInternalError, OperationalError) as error:
        text = f"{error} {error.__cause__}"
        if not any(words in text for words in _SQLITE_FULL):
            raise
        raise _full(run, "database or disk is full") from error


def _full(run: RunDirectory, reason: object) -> UnavailableError:
    remedy = f"Make room, then go on: {command('search', '--resume', run.path)}"
    return UnavailableError(f"the run can't be written: {reason}", value=str(run.path), remedy=remedy)
