"""Trials in worker processes, on this machine or on a Ray cluster.

Workers are plain Ray actors, each with a resident backbone. Nothing of value lives in them: the study on disk is the only
record, and a worker that dies costs the trial it was running.
"""

import logging
import math
import time
from collections import deque
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from autopeft.errors import DeviceError, UnavailableError
from autopeft.executors import cluster
from autopeft.executors.base import MakeRunner, Runner
from autopeft.executors.handles import RunningTrial, WorkerHandle
from autopeft.training.measurement import Assignment, BackboneFacts, Outcome
from autopeft.words import plural

MAX_DEATHS_WHILE_LOADING = 3
"""In a row; one may be chance."""
FOLLOW_SECONDS = 10.0
"""How often to look whether a cluster has grown."""
CONTEXT_BYTES = 600 * 2**20
"""What a process takes of a GPU's memory before it has a single tensor there."""
MEMORY_MARGIN = 1.25
"""By how much more than what the first trial took on a GPU a worker is given: caches of freed memory, and larger trials."""

logger = logging.getLogger("autopeft")


@dataclass(frozen=True)
class Demand:
    """What worker processes are to take of this machine or of a cluster.

    A worker takes one processor and, on a GPU, `gpus_per_worker` of it. Ray decides which GPU that is and shows the worker no other.
    """

    n_workers: int | None = None
    """None: as many as there is room for, also on nodes that join a cluster later."""
    device: str = "cpu"
    """What trials run on: "cpu", "cuda" (also through ROCm), "mps", or "auto": "cuda" if a node has a GPU."""
    gpus_per_worker: float | None = 1.0
    """More than 0 and at most 1. None: so that as many share a GPU as fit by what the first trial took of its memory."""
    address: str | None = None
    """Address of a running Ray cluster; None starts Ray on this machine."""
    n_cpus: int = 1
    """Processors of this machine that workers may take, without an address."""
    cards: tuple[str, ...] = ()
    """GPUs of this machine that workers may take, without an address, as `visibility_variable` names them."""
    visibility_variable: str = "CUDA_VISIBLE_DEVICES"


class WorkersExecutor:
    """A pool of worker processes. Workers that die are replaced, on whichever node has room; nodes may come and go.

    So are those that run out of memory, since what earlier trials left behind goes with them, and those that their GPU has failed. A trial
    that had such a predecessor, or such a GPU, is lost, not failed; one that finds no room in a fresh worker has failed. A worker whose
    device can't be used when it loads is not replaced as long as there are others: its place is given up.

    A worker takes as many trials at once as its runner says. Where it dies with several, nobody knows of which: each is tried again in a
    worker of its own. Where it is killed for one of them, the others are tried again.

    Args:
        make_runner: Called once in every worker; it is pickled, with the data it holds, and sent once per node.
        demand: How many processes, and what they take.
        trial_timeout: Seconds after which a trial is given up and its worker killed, loading not counted; None: never. Of a second that n
            trials of a worker share, each is charged 1/n.
        most_packed: Trials that a worker's runner may take at once, at most.

    Raises:
        InvalidInputError: The address is none.
        DeviceError: GPUs are asked for, and no node has one.
        UnavailableError: Ray can't start, the cluster can't be reached, or it has no room for a single worker.
    """

    works_apart = True

    def __init__(self, make_runner: MakeRunner, demand: Demand, trial_timeout: float | None = None, most_packed: int = 1) -> None:
        self._demand, self._most_packed = demand, most_packed
        if demand.address:
            self._ray = cluster.join(demand.address)
        else:
            self._ray = cluster.start(demand.n_cpus, demand.cards, demand.visibility_variable)
        try:
            self._begin(make_runner, trial_timeout)
        except BaseException:  # such as data that can't be pickled: who failed to make this can't close it
            self._ray.shutdown()
            raise

    def _begin(self, make_runner: MakeRunner, trial_timeout: float | None) -> None:
        self._device, self._gpus = self._choose_device()
        self._gpus_are_known = not self._gpus or self._demand.gpus_per_worker is not None
        self._make_runner = self._ray.put(make_runner)
        self._trial_timeout = math.inf if trial_timeout is None else trial_timeout
        self._waiting: deque[Assignment] = deque()
        """Trials that no worker has taken up yet."""
        self._suspects: set[int] = set()
        """Trials that were in a worker with others when it died: they get one to themselves."""
        self._facts: BackboneFacts | None = None
        """What the first worker said when it had loaded."""
        self._loading: dict[Any, WorkerHandle] = {}
        """Workers by the answer that comes when they have loaded what they need: never, while the cluster has no room for them."""
        self._ready: list[WorkerHandle] = []
        """Workers that have loaded and have room for a trial."""
        self._busy: dict[Any, RunningTrial] = {}
        """By the answer to come."""
        self._deaths_while_loading = 0
        self._n_given_up = 0
        """Places that no worker is started in any more."""
        self._n_workers = 0
        self._grow(self._n_wanted())
        if not self._n_workers:
            raise UnavailableError(
                f"the cluster has no room for a worker, which takes a processor{f' and {self._gpus:g} of a GPU' if self._gpus else ''}",
                value=self._demand.address,
                remedy="Does something else hold its resources (ray status)? --workers N waits until there is room.",
            )

    def _choose_device(self) -> tuple[str, float]:
        """Return what workers train on, and how much of a GPU each takes."""
        wanted = self._demand.device
        if wanted not in ("auto", "cuda"):
            return wanted, 0.0
        if cluster.n_cards(self._ray):
            return "cuda", 1.0 if self._demand.gpus_per_worker is None else self._demand.gpus_per_worker
        if wanted == "cuda":
            remedy = "Nodes say what they have when they start: ray start --num-gpus N."
            raise DeviceError("no node of the cluster has a GPU", value=wanted, remedy=remedy)
        return "cpu", 0.0

    def _n_wanted(self) -> int:
        places = cluster.n_places(self._ray, self._gpus) if self._demand.n_workers is None else self._demand.n_workers
        return places - self._n_given_up

    def _grow(self, n_workers: int) -> None:
        while self._n_workers < n_workers:
            self._start_worker()
            self._n_workers += 1

    @property
    def capacity(self) -> int:
        """How many assignments run at once, all workers being like the first that has loaded; nodes that come or break change it."""
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
            self._busy[answer] = RunningTrial(worker, assignment, answer, self._trial_timeout * assignment.patience)
            worker.take(self._busy[answer])
            if not worker.has_room:
                self._ready.remove(worker)

    def _worker_for(self, trial: int) -> WorkerHandle | None:
        """Return the worker with the fewest trials of those that may have this one too; None if none may."""

        def may(worker: WorkerHandle) -> bool:
            others = [running.assignment.trial for running in worker.running]
            return worker.gpus == self._gpus and (not others or self._suspects.isdisjoint([trial, *others]))

        return min(filter(may, self._ready), key=lambda worker: len(worker.running), default=None)

    def _wait(self) -> Any:
        """Wait until something happens: return the answer to a trial, or None if a worker has loaded or a trial has run too long."""
        follows = self._demand.n_workers is None
        self._grow(self._n_wanted())
        until = min((running.until for running in self._busy.values()), default=math.inf)
        until = min(until, time.monotonic() + FOLLOW_SECONDS if follows else math.inf)
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
            self._require_comparable(facts)
        except self._ray.exceptions.RayTaskError as error:
            self._give_place_up(worker, error.cause)
        except DeviceError as error:
            self._give_place_up(worker, error)
        except self._ray.exceptions.RayActorError as error:
            self._replace_one_that_died_loading(error)
        else:
            self._facts = self._facts or facts
            worker.n_places = facts.pack
            self._ready.append(worker)
            self._replace_by_smaller(worker)
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
        if outcome.out_of_memory or outcome.device_failed:
            self._replace(worker)
            return replace(outcome, lost=outcome.device_failed or worker.n_trials > 1)
        if outcome.measurement is not None and not self._gpus_are_known:
            self._share_cards(outcome.measurement.peak_bytes)
        self._suspects.discard(running.assignment.trial)
        if worker in self._ready:
            self._replace_by_smaller(worker)
        return outcome

    def _end(self, running: RunningTrial) -> None:
        """Take a trial off its worker."""
        del self._busy[running.answer]
        running.worker.end(running)
        if running.worker not in self._ready:
            self._ready.append(running.worker)

    def _give_up(self, running: RunningTrial) -> Outcome:
        """Kill the worker one of whose trials has been running past its time, and put another in its place."""
        self._end(running)
        self._replace(running.worker)
        seconds = self._trial_timeout * running.assignment.patience
        return Outcome(running.assignment, error=f"it ran longer than {seconds:g} s (--trial-timeout)")

    def _replace_by_smaller(self, worker: WorkerHandle) -> None:
        """Let several take the place of an idle worker that holds more of a GPU than workers do by now."""
        if worker.gpus == self._gpus or worker.running:
            return
        self._ready.remove(worker)
        self._ray.kill(worker.actor)
        self._n_workers -= 1
        self._grow(self._n_wanted())

    def _share_cards(self, peak_bytes: int) -> None:
        """Choose how many workers share a GPU from here on, by what a trial and the backbone took of it together."""
        self._gpus_are_known = True
        assert self._facts is not None, "a worker has loaded"
        if not self._facts.device_bytes:
            return
        n_fitting = int(self._facts.device_bytes / (MEMORY_MARGIN * peak_bytes + CONTEXT_BYTES))
        n = max(1, min(n_fitting, cluster.n_cpus_per_card(self._ray)))
        self._gpus = math.floor(10_000 / n) / 10_000
        for worker in list(self._ready):
            self._replace_by_smaller(worker)
        logger.info("%d trials share a GPU: the first took %.1f GB of %.1f", n, peak_bytes / 1e9, self._facts.device_bytes / 1e9)

    def _require_comparable(self, facts: BackboneFacts) -> None:
        """Check that a worker's model holds the same numbers as the others'.

        Raises:
            DeviceError: It was loaded in another precision.
        """
        if self._facts is not None and facts.dtype != self._facts.dtype:
            raise DeviceError(
                f"a worker's weights are {facts.dtype} where those of the first are {self._facts.dtype}",
                value=facts.device,
                remedy="--dtype says which all workers take.",
            )

    def _give_place_up(self, worker: WorkerHandle, error: Exception) -> None:
        """Go on without a worker whose device can't be used, if others have loaded or may yet; any other error says that none can."""
        if not isinstance(error, DeviceError) or not (self._ready or self._busy or self._loading):
            raise error from None
        self._ray.kill(worker.actor)
        self._n_workers -= 1
        self._n_given_up += 1
        logger.warning("going on with %s: %s", plural(self._n_workers, "worker"), error)

    def _replace_one_that_died_loading(self, error: Exception) -> None:
        self._deaths_while_loading += 1
        if self._deaths_while_loading > MAX_DEATHS_WHILE_LOADING:
            raise UnavailableError("worker processes die while they load the model, perhaps out of memory", value=str(error)) from None
        self._start_worker()

    def _replace(self, worker: WorkerHandle) -> None:
        """Start another worker in the place of one that is dead or to be killed; what it runs is tried again, before all that waits."""
        self._ray.kill(worker.actor)
        if worker in self._ready:
            self._ready.remove(worker)
        for running in worker.running:
            del self._busy[running.answer]
        self._waiting.extendleft(running.assignment for running in reversed(worker.running))
        self._start_worker()

    def _start_worker(self) -> None:
        gpus = {"num_gpus": self._gpus} if self._gpus else {}
        actor_class = self._ray.remote(num_cpus=1, max_concurrency=self._most_packed, **gpus)(_Worker)
        worker = WorkerHandle(actor_class.remote(self._make_runner, self._device, self._gpus), self._gpus)
        self._loading[worker.actor.describe.remote()] = worker


class _Worker:
    """A worker process: makes its runner at the first call, so that an error in it reaches the driver as an exception."""

    def __init__(self, make_runner: MakeRunner, device: str, gpus: float) -> None:
        self._make_runner, self._device, self._gpus = make_runner, device, gpus

    @cached_property
    def _runner(self) -> Runner:
        if 0 < self._gpus < 1:
            from autopeft.training.device import limit_memory  # torch is needed where trials run, and that may not be here

            limit_memory(self._gpus, CONTEXT_BYTES)
        return self._make_runner(self._device)

    def describe(self) -> BackboneFacts:
        return self._runner.describe()

    def run(self, assignment: Assignment) -> Outcome:
        outcome = self._runner.run(assignment)
        return replace(outcome, assignment=replace(assignment, checkpoint=None, trained=None))  # the driver has them, and they may be large
