"""Trials in worker processes, on this machine or on a Ray cluster.

Workers are plain Ray actors, each with a resident backbone. Nothing of value lives in them: the study on disk is the only
record, and a worker that dies costs the trial it was running.
"""

import math
import os
import socket
import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from autopeft.errors import UnavailableError
from autopeft.executors.base import MakeRunner, Runner
from autopeft.training.measurement import Assignment, BackboneFacts, Outcome

_ENVIRONMENT = {
    "RAY_AUTH_MODE": "token",  # what Ray does by default, without announcing it at every start
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # Ray's own advice against a warning about hiding GPUs
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
}
PROBE_SECONDS = 3.0


class WorkersExecutor:
    """A pool of worker processes.

    Args:
        make_runner: Called once in every worker; it is pickled, with the data it holds, and sent once per node.
        n_workers: How many processes.
        address: Address of a running Ray cluster; None starts one on this machine, on loopback only.
        trial_timeout: Seconds after which a trial is given up and its worker killed, loading not counted; None: never.

    Raises:
        UnavailableError: Ray can't start or the cluster can't be reached.
    """

    def __init__(self, make_runner: MakeRunner, n_workers: int, address: str | None = None, trial_timeout: float | None = None) -> None:
        if address:
            _require_reachable(address)
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        import ray

        self._ray: Any = ray
        self.capacity = n_workers
        options: dict[str, Any] = {"address": address} if address else {"num_cpus": n_workers, "_node_ip_address": "127.0.0.1"}
        try:
            ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR", configure_logging=False, **options)
        except (OSError, RuntimeError, ValueError, TimeoutError) as error:
            remedy = "Run in this process instead: --workers 0."
            raise UnavailableError(f"Ray could not start: {str(error).splitlines()[0]}", remedy=remedy) from error
        self._actor_class = ray.remote(num_cpus=1)(_Worker)
        self._make_runner = ray.put(make_runner)
        self._trial_timeout = math.inf if trial_timeout is None else trial_timeout
        self._loading: dict[Any, Any] = {}
        """By worker: the answer that comes when it has loaded what it needs."""
        self._idle = [self._start_worker() for _ in range(n_workers)]
        self._busy: dict[Any, _Running] = {}
        """By the answer to come."""

    def describe(self) -> BackboneFacts:
        """Wait for the first worker to have loaded the backbone and return what it knows of it; the others load meanwhile.

        Raises:
            AutopeftError: The model or the data can't be loaded.
            UnavailableError: The worker process died.
        """
        try:
            facts: BackboneFacts = self._ray.get(self._loading[self._idle[0]])
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except self._ray.exceptions.RayActorError as error:
            raise UnavailableError("a worker process died while it loaded the model, perhaps out of memory", value=str(error)) from None
        return facts

    def submit(self, assignment: Assignment) -> None:
        """Hand a trial to an idle worker."""
        worker = self._idle.pop()
        self._busy[worker.run.remote(assignment)] = _Running(worker, assignment)

    def next_outcome(self) -> Outcome:
        """Wait for the first worker to end its trial.

        Raises:
            AutopeftError: The worker could not load the model or the data: no trial can ever run.
        """
        done = self._first_done()
        if done is None:
            return self._give_up()
        running = self._busy.pop(done)
        try:
            outcome: Outcome = self._ray.get(done)
        except self._ray.exceptions.RayTaskError as error:
            self._idle.append(running.worker)
            raise error.cause from None
        except self._ray.exceptions.RayActorError as error:
            self._idle.append(self._start_worker())
            return Outcome(running.assignment, error="the worker process died, perhaps out of memory", traceback=str(error), lost=True)
        self._idle.append(running.worker)
        return outcome

    def close(self) -> None:
        """Stop Ray and with it all workers."""
        self._ray.shutdown()

    def _first_done(self) -> Any:
        """Wait for an answer; None if a trial ran into its time limit before any came."""
        while True:
            for running in self._busy.values():
                if running.until == math.inf and running.worker not in self._loading:
                    running.until = time.monotonic() + self._trial_timeout
            left = min(running.until for running in self._busy.values()) - time.monotonic()
            timeout = None if left == math.inf else max(0.0, left)
            # Answers to trials come first in the list: of two that are there, wait returns the earlier in it.
            done, _ = self._ray.wait([*self._busy, *self._loading.values()], num_returns=1, timeout=timeout)
            if not done or done[0] in self._busy:
                return done[0] if done else None
            self._loading = {worker: answer for worker, answer in self._loading.items() if answer != done[0]}

    def _give_up(self) -> Outcome:
        """Kill the worker whose trial has been running past its time, and put another in its place."""
        late = min(self._busy, key=lambda answer: self._busy[answer].until)
        running = self._busy.pop(late)
        self._ray.kill(running.worker)
        self._idle.append(self._start_worker())
        return Outcome(running.assignment, error=f"it ran longer than {self._trial_timeout:g} s (--trial-timeout)")

    def _start_worker(self) -> Any:
        worker = self._actor_class.remote(self._make_runner)
        self._loading[worker] = worker.describe.remote()
        return worker


@dataclass
class _Running:
    """A trial that a worker was handed."""

    worker: Any
    assignment: Assignment
    until: float = math.inf
    """When it is given up, on the monotonic clock; never while its worker still loads."""


def _require_reachable(address: str) -> None:
    """Try the address once: Ray itself would go on trying for minutes."""
    parts = urlsplit(address if "://" in address else f"ray://{address}")
    if parts.port is None or parts.hostname is None:  # "auto" and the like; Ray answers those at once
        return
    try:
        socket.create_connection((parts.hostname, parts.port), timeout=PROBE_SECONDS).close()
    except OSError as error:
        remedy = "Check the address, or leave --address out to use this machine."
        raise UnavailableError(f"no Ray cluster answers: {error}", value=address, remedy=remedy) from None


class _Worker:
    """A worker process: makes its runner at the first call, so that an error in it reaches the driver as an exception."""

    def __init__(self, make_runner: MakeRunner) -> None:
        self._make_runner = make_runner

    @cached_property
    def _runner(self) -> Runner:
        return self._make_runner()

    def describe(self) -> BackboneFacts:
        return self._runner.describe()

    def run(self, assignment: Assignment) -> Outcome:
        return self._runner.run(assignment)
