"""Trials in worker processes, on this machine or on a Ray cluster.

Workers are plain Ray actors, each with a resident backbone. Nothing of value lives in them: the study on disk is the only
record, and a worker that dies costs the trial it was running.
"""

import math
import os
import socket
import time
from collections import deque
from dataclasses import replace
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from autopeft.errors import UnavailableError
from autopeft.executors.base import MakeRunner, Runner
from autopeft.executors.places import Process, Running
from autopeft.training.measurement import Assignment, BackboneFacts, Outcome

_ENVIRONMENT = {
    "RAY_AUTH_MODE": "token",  # what Ray does by default, without announcing it at every start
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # Ray's own advice against a warning about hiding GPUs
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
}
PROBE_SECONDS = 3.0
MAX_DEATHS_WHILE_LOADING = 3
"""In a row; one may be chance."""


class WorkersExecutor:
    """A pool of worker processes. Workers that die are replaced, on whichever node has room; nodes may come and go.

    So are those that run out of memory: what earlier trials left behind goes with them. A trial that had such a predecessor is lost, not
    failed; one that finds no room in a fresh worker has failed.

    A worker takes as many trials at once as its runner says. Where it dies with several, nobody knows of which: each is tried again in a
    worker of its own. Where it is killed for one of them, the others are tried again.

    Args:
        make_runner: Called once in every worker; it is pickled, with the data it holds, and sent once per node.
        n_workers: How many processes.
        address: Address of a running Ray cluster; None starts one on this machine, on loopback only.
        trial_timeout: Seconds after which a trial is given up and its worker killed, loading not counted; None: never. Of a second that n
            trials of a worker share, each is charged 1/n.
        most_packed: Trials that a worker's runner may take at once, at most.

    Raises:
        UnavailableError: Ray can't start or the cluster can't be reached.
    """

    works_apart = True

    def __init__(
        self,
        make_runner: MakeRunner,
        n_workers: int,
        address: str | None = None,
        trial_timeout: float | None = None,
        most_packed: int = 1,
    ) -> None:
        if address:
            _require_reachable(address)
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        import ray

        if ray.is_initialized():  # to stop it in the end would stop what others do with it
            remedy = "Call ray.shutdown() first, or run in this process: --workers 0."
            raise UnavailableError("Ray is in use in this process already", remedy=remedy)
        self._ray: Any = ray
        self._n_workers = n_workers
        # "local": without it Ray would join a cluster that someone else has started on this machine.
        here = {"address": "local", "num_cpus": n_workers, "_node_ip_address": "127.0.0.1"}
        options: dict[str, Any] = {"address": address} if address else here
        try:
            ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR", configure_logging=False, **options)
        except (OSError, RuntimeError, ValueError, TimeoutError) as error:
            remedy = "Run in this process instead: --workers 0."
            raise UnavailableError(f"Ray could not start: {str(error).splitlines()[0]}", remedy=remedy) from error
        except BaseException:  # an interrupt
            ray.shutdown()
            raise
        try:
            self._begin(make_runner, trial_timeout, most_packed)
        except BaseException:  # such as data that can't be pickled: who failed to make this can't close it
            ray.shutdown()
            raise

    def _begin(self, make_runner: MakeRunner, trial_timeout: float | None, most_packed: int) -> None:
        self._actor_class = self._ray.remote(num_cpus=1, max_concurrency=most_packed)(_Worker)
        self._make_runner = self._ray.put(make_runner)
        self._trial_timeout = math.inf if trial_timeout is None else trial_timeout
        self._waiting: deque[Assignment] = deque()
        """Trials that no worker has taken up yet."""
        self._suspects: set[int] = set()
        """Trials that were in a worker with others when it died: they get one to themselves."""
        self._facts: BackboneFacts | None = None
        """What the first worker said when it had loaded."""
        self._loading: dict[Any, Process] = {}
        """Workers by the answer that comes when they have loaded what they need: never, while the cluster has no room for them."""
        self._ready: list[Process] = []
        """Workers that have loaded and have room for a trial."""
        self._busy: dict[Any, Running] = {}
        """By the answer to come."""
        self._deaths_while_loading = 0
        for _ in range(self._n_workers):
            self._start_worker()

    @property
    def capacity(self) -> int:
        """How many assignments run at once, all workers being like the first that has loaded."""
        return self._n_workers * (1 if self._facts is None else self._facts.pack)

    def describe(self) -> BackboneFacts:
        """Wait for the first worker to have loaded the backbone and return what it knows of it; the others load meanwhile.

        Raises:
            AutopeftError: The model or the data can't be loaded.
            UnavailableError: Worker processes die while they load.
        """
        while self._facts is None:
            self._wait()
        return self._facts

    def submit(self, assignment: Assignment) -> None:
        """Take a trial on; the first worker that is free and has loaded runs it."""
        self._waiting.append(assignment)
        self._hand_out()

    def next_outcome(self) -> Outcome:
        """Wait for the first trial to end.

        Raises:
            AutopeftError: The worker could not load the model or the data: no trial can ever run.
            UnavailableError: Worker processes die while they load.
        """
        while True:
            self._hand_out()
            done = self._wait()
            if done is not None:
                if (outcome := self._collect(done)) is not None:
                    return outcome
                continue
            late = [running for running in self._busy.values() if running.until <= time.monotonic()]
            if late:
                return self._give_up(late[0])

    def close(self) -> None:
        """Stop Ray and with it all workers."""
        self._ray.shutdown()

    def _hand_out(self) -> None:
        while self._waiting and (worker := self._worker_for(self._waiting[0].trial)) is not None:
            assignment = self._waiting.popleft()
            answer = worker.actor.run.remote(assignment)
            self._busy[answer] = Running(worker, assignment, answer, self._trial_timeout * assignment.patience)
            worker.take(self._busy[answer])
            if not worker.has_room:
                self._ready.remove(worker)

    def _worker_for(self, trial: int) -> Process | None:
        """Return the worker with the fewest trials of those that may have this one too; None if none may."""

        def may(worker: Process) -> bool:
            others = [running.assignment.trial for running in worker.running]
            return not others or self._suspects.isdisjoint([trial, *others])

        return min(filter(may, self._ready), key=lambda worker: len(worker.running), default=None)

    def _wait(self) -> Any:
        """Wait until something happens: return the answer to a trial, or None if a worker has loaded or a trial has run too long."""
        until = min((running.until for running in self._busy.values()), default=math.inf)
        timeout = None if until == math.inf else max(0.0, until - time.monotonic())
        # Answers to trials come first in the list: of two that are there, wait returns the earlier in it.
        done, _ = self._ray.wait([*self._busy, *self._loading], num_returns=1, timeout=timeout)
        if not done:
            return None
        if done[0] in self._busy:
            return done[0]
        worker = self._loading.pop(done[0])
        try:
            facts: BackboneFacts = self._ray.get(done[0])
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except self._ray.exceptions.RayActorError as error:
            self._replace_one_that_died_loading(error)
        else:
            self._facts = self._facts or facts
            worker.n_places = facts.pack
            self._ready.append(worker)
            self._deaths_while_loading = 0
        return None

    def _collect(self, answer: Any) -> Outcome | None:
        """Return how a trial ended; None if its worker died with several, which wait for another try."""
        running = self._busy[answer]
        worker = running.worker
        try:
            outcome: Outcome = replace(self._ray.get(answer), assignment=running.assignment)
        except self._ray.exceptions.RayTaskError as error:
            self._end(running)
            raise error.cause from None
        except self._ray.exceptions.RayActorError as error:
            if len(worker.running) > 1:
                self._suspects.update(one.assignment.trial for one in worker.running)
                self._replace(worker)
                return None
            self._end(running)
            self._replace(worker)
            return Outcome(running.assignment, error="the worker process died, perhaps out of memory", traceback=str(error), lost=True)
        self._end(running)
        if outcome.out_of_memory:
            self._replace(worker)
            return replace(outcome, lost=worker.n_trials > 1)
        self._suspects.discard(running.assignment.trial)
        return outcome

    def _end(self, running: Running) -> None:
        """Take a trial off its worker."""
        del self._busy[running.answer]
        running.worker.end(running)
        if running.worker not in self._ready:
            self._ready.append(running.worker)

    def _give_up(self, running: Running) -> Outcome:
        """Kill the worker one of whose trials has been running past its time, and put another in its place."""
        self._end(running)
        self._replace(running.worker)
        seconds = self._trial_timeout * running.assignment.patience
        return Outcome(running.assignment, error=f"it ran longer than {seconds:g} s (--trial-timeout)")

    def _replace_one_that_died_loading(self, error: Exception) -> None:
        self._deaths_while_loading += 1
        if self._deaths_while_loading > MAX_DEATHS_WHILE_LOADING:
            raise UnavailableError("worker processes die while they load the model, perhaps out of memory", value=str(error)) from None
        self._start_worker()

    def _replace(self, worker: Process) -> None:
        """Start another worker in the place of one that is dead or to be killed; what it runs is tried again, before all that waits."""
        self._ray.kill(worker.actor)
        if worker in self._ready:
            self._ready.remove(worker)
        for running in worker.running:
            del self._busy[running.answer]
        self._waiting.extendleft(running.assignment for running in reversed(worker.running))
        self._start_worker()

    def _start_worker(self) -> None:
        worker = Process(self._actor_class.remote(self._make_runner))
        self._loading[worker.actor.describe.remote()] = worker


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
        outcome = self._runner.run(assignment)
        return replace(outcome, assignment=replace(assignment, checkpoint=None, trained=None))  # the driver has them, and they may be large
