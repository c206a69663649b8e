"""One process at a time drives a run."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from filelock import FileLock, Timeout

from autopeft.errors import InvalidInputError
from autopeft.study.directory import RunDirectory, write_atomically


@contextmanager
def driving(run: RunDirectory) -> Iterator[None]:
    """Hold a run for this process; the operating system lets go of it when the process dies, however it does.

    Raises:
        InvalidInputError: Another process holds it.
    """
    holder = run.path / "driver.json"
    lock = FileLock(run.path / "driver.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        remedy = "Wait until it is done, or stop it and go on with --resume."
        raise InvalidInputError("another process drives this run", value=_read(holder), remedy=remedy) from None
    try:
        who = {"pid": os.getpid(), "host": socket.gethostname(), "since": datetime.now(UTC).isoformat(timespec="seconds")}
        write_atomically(holder, json.dumps(who).encode())
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


@dataclass(frozen=True)
class Driver:
    """The process that drives a run."""

    pid: int
    host: str
    since: datetime
    """When it began, in local time."""


def driver(run: RunDirectory) -> Driver | None:
    """Return who drives a run, without touching the lock; None: nobody does, or a process of this machine that is gone."""
    try:
        who = json.loads((run.path / "driver.json").read_text(encoding="utf-8"))
        found = Driver(int(who["pid"]), str(who["host"]), datetime.fromisoformat(who["since"]).astimezone().replace(tzinfo=None))
        if found.host == socket.gethostname():
            os.kill(found.pid, 0)
    except PermissionError:  # there is such a process, of another user
        return found
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    return found


def _read(holder: os.PathLike[str]) -> str:
    try:
        with open(holder, encoding="utf-8") as file:
            who = json.load(file)
        return f"process {int(who['pid'])} on {who['host']!s:.100} since {who['since']!s:.40}"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "it has not said which"
