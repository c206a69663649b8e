"""How a training goes while it goes: lines that whoever watches a run can read, where worker and run share a disk."""

import json
import time
from pathlib import Path

NAME = "live.jsonl"
SECONDS = 5.0
"""Least time between two lines."""


class LiveCurve:
    """Writes the training loss now and then. What can't be written is left out: nothing rests on it.

    Args:
        trials: The run's folder of trials; where a worker doesn't see it, nothing is written. None: nothing either.
        trial: The trial's number.
    """

    def __init__(self, trials: str | None, trial: int) -> None:
        self._path = Path(trials) / f"{trial:04d}" / NAME if trials and Path(trials).is_dir() else None
        self._total, self._n, self._last = 0.0, 0, time.monotonic()
        self._is_new = True

    def stepped(self, progress: float, examples_seen: int, loss: float, n_terms: int) -> None:
        """Hear of a step: the share of all steps that is done, and the mean of its losses, which are so many."""
        self._total, self._n = self._total + loss * n_terms, self._n + n_terms
        if self._path is None or time.monotonic() - self._last < SECONDS:
            return
        row = {"progress": progress, "examples_seen": examples_seen, "train_loss": self._total / self._n, "metrics": {}}
        try:
            self._path.parent.mkdir(exist_ok=True)
            with self._path.open("w" if self._is_new else "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        except OSError:  # a full disk, or a run that was moved away
            self._path = None
        self._total, self._n, self._last, self._is_new = 0.0, 0, time.monotonic(), False
