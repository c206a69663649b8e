"""What the driver knows of a worker process: which trials it runs, and what of its time each has had.

A worker may run several trials at once. Of a second that n of them share, each is charged 1/n.
"""

import time
from dataclasses import dataclass, field
from typing import Any

from autopeft.training.measurement import Assignment


@dataclass(eq=False)
class WorkerHandle:
    """A worker process, as the driver sees it."""

    actor: Any
    """Ray's handle of the process."""
    gpus: float = 0.0
    """How much of a GPU it holds."""
    n_places: int = 1
    """Trials that it may run at once; known when it has loaded."""
    n_trials: int = 0
    """Trials that it was handed."""
    running: "list[RunningTrial]" = field(default_factory=list)
    divided_at: float = 0.0
    """When time was last divided among its trials, on the monotonic clock."""

    @property
    def has_room(self) -> bool:
        """Whether it may take one more trial."""
        return len(self.running) < self.n_places

    def take(self, running: "RunningTrial") -> None:
        """Take note of one more trial."""
        self._divide()
        self.running.append(running)
        self.n_trials += 1

    def end(self, running: "RunningTrial") -> None:
        """Take note of a trial's end."""
        self._divide()
        self.running.remove(running)

    def _divide(self) -> None:
        now = time.monotonic()
        for one in self.running:
            one.seconds_left -= (now - self.divided_at) / len(self.running)
        self.divided_at = now


@dataclass(eq=False)
class RunningTrial:
    """A trial that a worker was handed."""

    worker: WorkerHandle
    assignment: Assignment
    answer: Any
    """Stands for the outcome to come."""
    seconds_left: float
    """What it may yet have of its worker's time, as of the latest division."""

    @property
    def until(self) -> float:
        """When it is given up if no trial comes or goes, on the monotonic clock."""
        return self.worker.divided_at + self.seconds_left * len(self.worker.running)
