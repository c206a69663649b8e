"""A search in a process of its own, to be interrupted, and what must hold of its run in the end."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from autopeft.study.directory import RunDirectory
from autopeft.study.reader import StudyReader
from autopeft.study.record import TrialRecord, front
from tests.faults.forked import Forked

Process = Forked | subprocess.Popen[str]

PATIENCE = 600.0
"""Seconds after which a test gives a process up."""


class Driver:
    """Starts and resumes one run.

    Args:
        settings: Options of `autopeft search` but for the run's folder.
        run: The run's folder.
        prefix: A command to run it under, in an interpreter of its own.
    """

    def __init__(self, settings: Sequence[object], run: Path, prefix: Sequence[str] = ()) -> None:
        self.run = run
        self._settings, self._prefix = [str(one) for one in settings], list(prefix)

    def start(self) -> Process:
        """Start the search, or go on with it if there is something to go on with."""
        resumable = (self.run / "run.json").is_file()
        arguments = ["--resume", str(self.run)] if resumable else [*self._settings, "--out", str(self.run)]
        if not self._prefix:
            return Forked(["search", *arguments])
        command = [*self._prefix, sys.executable, "-m", "autopeft", "search", *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def finish(self) -> str:
        """Go on until the run is done; return what it printed."""
        process = self.start()
        printed, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, printed
        return printed

    def ended(self) -> dict[int, dict[str, object]]:
        """Return the trials that the run has announced as ended, by number; a line that is being written is not there yet."""
        path = self.run / "trials.jsonl"
        lines = path.read_text().split("\n")[:-1] if path.is_file() else []
        return {row["trial"]: row for row in map(json.loads, lines)}

    def n_begun(self) -> int:
        """Return how many trials have come as far as a first measurement."""
        return len(list((self.run / "trials").glob("*")))

    def records(self) -> list[TrialRecord]:
        """Return the trials in the study."""
        return StudyReader.open(RunDirectory.open(self.run)).records()


def wait_until(condition: Callable[[], bool], process: Process) -> bool:
    """Wait until a condition holds; False if the process ends before."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if process.poll() is not None:
            return False
        assert time.monotonic() < deadline, "nothing happens"
        time.sleep(0.02)
    return True


def kill(process: Process) -> None:
    """Kill a process the hard way, and wait for it to be gone."""
    process.kill()
    process.communicate(timeout=PATIENCE)


def workers_of(process: Process) -> list[psutil.Process]:
    """Return the worker processes that have a trial in hand."""
    return [child for child in psutil.Process(process.pid).children(recursive=True) if "_Worker.run" in _title(child)]


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def require_whole(driver: Driver, n_trials: int, announced: dict[int, dict[str, object]]) -> None:
    """Check that a run has exactly its trials, none twice, and everything that was ever announced as it was announced."""
    records = driver.records()
    assert len(records) == n_trials
    assert len({record.number for record in records}) == n_trials
    assert len({record.configuration.id for record in records}) == n_trials
    ended = driver.ended()
    assert sorted(ended) == [record.number for record in records]
    assert {number: ended.get(number) for number in announced} == announced
    objectives = StudyReader.open(RunDirectory.open(driver.run)).objectives
    finished = [record for record in records if record.state == "complete"]
    losses = [[objective.sign * record.values[objective.name] for objective in objectives] for record in finished]
    best = {
        record.number
        for record, mine in zip(finished, losses, strict=True)
        if not any(all(a <= b for a, b in zip(other, mine, strict=True)) and other != mine for other in losses)
    }
    assert {record.number for record in front(finished, objectives)} == best
