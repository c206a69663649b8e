import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace

import pytest

from autopeft.budget import Budget
from autopeft.configuration import Configuration
from autopeft.errors import InvalidInputError, UnavailableError
from autopeft.executors import cluster as ray_cluster
from autopeft.executors.base import Executor, MakeRunner, Runner
from autopeft.executors.inline import InlineExecutor
from autopeft.executors.workers import Demand, WorkersExecutor
from autopeft.methods.topology import Topology
from autopeft.training.measurement import Assignment, BackboneFacts, Outcome

LOADING_SECONDS = 1.0
FACTS = BackboneFacts(Topology("Tiny", "", "input_ids", "", (), (), ()), 1000, 10, "cpu", "fp32")

pytestmark = [
    # Ray's own code warns of itself.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::FutureWarning"),
]


class FakeRunner:
    """Answers with its process id.

    It dies on trial 13, hangs on trial 99, has no room for trials from 200 on; loading takes longer than a hanging trial is given.
    """

    def __init__(self) -> None:
        time.sleep(LOADING_SECONDS)

    def describe(self) -> BackboneFacts:
        return FACTS

    def run(self, assignment: Assignment) -> Outcome:
        if assignment.trial == 13:
            os._exit(1)
        if assignment.trial == 99:
            time.sleep(600)
        return Outcome(assignment, error=str(os.getpid()), out_of_memory=assignment.trial >= 200)


class PackedRunner(FakeRunner):
    """Takes three at once: trials below 10 end only when three have met; of the rest trial n, from 20 on, takes n / 20 seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._meeting = threading.Barrier(3)

    def describe(self) -> BackboneFacts:
        return replace(FACTS, pack=3)

    def run(self, assignment: Assignment) -> Outcome:
        if assignment.trial < 10:
            self._meeting.wait(timeout=30)
        elif 20 <= assignment.trial < 99:
            time.sleep(assignment.trial / 20)
        else:
            time.sleep(0.2)  # so that it has company
        return super().run(assignment)


def make_runner(device: str) -> Runner:
    return FakeRunner()


def make_packed_runner(device: str) -> Runner:
    return PackedRunner()


def refuse(device: str) -> Runner:
    raise InvalidInputError("the model must be one", value="x", remedy="Give another.")


def assignment(trial: int) -> Assignment:
    return Assignment(trial, Configuration(), Budget(), trial)


@pytest.fixture(params=["inline", "workers", "workers of a cluster"])
def start(request: pytest.FixtureRequest) -> Iterator[Callable[[MakeRunner], Executor]]:
    with ExitStack() as started:
        address = request.getfixturevalue("ray_address") if request.param == "workers of a cluster" else None

        def make(runner: MakeRunner) -> Executor:
            if request.param == "inline":
                return started.enter_context(closing(InlineExecutor(runner)))
            return started.enter_context(closing(WorkersExecutor(runner, Demand(2, address=address, n_cpus=2))))

        yield make


def test_every_assignment_comes_back_once(start: Callable[[MakeRunner], Executor]) -> None:
    at_termination = signal.getsignal(signal.SIGTERM)
    executor = start(make_runner)
    assert executor.describe() == FACTS
    assert signal.getsignal(signal.SIGTERM) is at_termination  # Ray sets its own, which ends the process as it stands
    done, submitted = [], 0
    while len(done) < 7:
        while submitted < 7 and submitted - len(done) < executor.capacity:
            executor.submit(assignment(submitted))
            submitted += 1
        done.append(executor.next_outcome())
    assert sorted(outcome.assignment.trial for outcome in done) == list(range(7))
    processes = {int(outcome.error) for outcome in done}
    assert len(processes) <= executor.capacity
    assert (os.getpid() in processes) == isinstance(executor, InlineExecutor)


def _exit(*_: object, **__: object) -> None:
    sys.exit(1)


def _too_busy(**_: object) -> None:
    raise Exception("The current node timed out during startup.")


def _terminated(**_: object) -> None:
    signal.signal(signal.SIGTERM, _exit)
    signal.raise_signal(signal.SIGTERM)


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("init", "expected", "message"),
    [
        (_terminated, KeyboardInterrupt, "^$"),
        (_exit, UnavailableError, r"Ray could not start: 1.*--workers 0"),
        (_too_busy, UnavailableError, r"Ray could not start: The current node timed out during startup.*--workers 0"),
    ],
    ids=["terminated", "exits", "too busy"],
)
def test_what_happens_while_ray_starts(
    init: Callable[..., None], expected: type[BaseException], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray answers SIGTERM itself meanwhile, by stopping its processes and exiting."""
    import ray

    monkeypatch.setattr(ray, "init", init)
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        with pytest.raises(expected, match=message):
            ray_cluster.start(1)
        assert signal.getsignal(signal.SIGTERM) is _stop
    finally:
        signal.signal(signal.SIGTERM, before)


def test_what_can_never_run_is_an_error_of_its_own_kind(start: Callable[[MakeRunner], Executor]) -> None:
    with pytest.raises(InvalidInputError, match=r"the model must be one \(got 'x'\)\. Give another\."):
        start(refuse).describe()


def test_a_dead_worker_costs_its_trial_and_is_replaced(ray_address: str) -> None:
    with closing(WorkersExecutor(make_runner, Demand(1, address=ray_address))) as executor:
        executor.submit(assignment(13))
        outcome = executor.next_outcome()
        assert "worker process died" in outcome.error
        assert outcome.lost
        executor.submit(assignment(14))
        assert executor.next_outcome().error.isdigit()


def test_a_worker_without_room_is_replaced_and_its_trial_lost_if_others_came_before(ray_address: str) -> None:
    with closing(WorkersExecutor(make_runner, Demand(1, address=ray_address))) as executor:
        outcomes = []
        for trial in (1, 200, 201, 2):
            executor.submit(assignment(trial))
            outcomes.append(executor.next_outcome())
        assert [outcome.lost for outcome in outcomes] == [False, True, False, False]
        processes = [outcome.error for outcome in outcomes]
        assert processes[0] == processes[1]
        assert len(set(processes)) == 3


def test_a_trial_that_hangs_is_given_up_and_loading_is_not_counted(ray_address: str) -> None:
    with closing(WorkersExecutor(make_runner, Demand(2, address=ray_address), trial_timeout=LOADING_SECONDS / 2)) as executor:
        for trial in (99, 1):
            executor.submit(assignment(trial))
        quick, hanging = sorted((executor.next_outcome(), executor.next_outcome()), key=lambda outcome: outcome.assignment.trial)
        assert quick.error.isdigit()
        assert hanging.error == "it ran longer than 0.5 s (--trial-timeout)"
        assert not hanging.lost
        for trial in (2, 3):
            executor.submit(assignment(trial))
        assert {executor.next_outcome().assignment.trial for _ in range(2)} == {2, 3}


def test_a_worker_takes_several_trials_at_once_and_those_beside_one_that_kills_it_are_tried_again(ray_address: str) -> None:
    with closing(WorkersExecutor(make_packed_runner, Demand(1, address=ray_address), most_packed=3)) as executor:
        assert executor.describe().pack == executor.capacity == 3
        for trials in ((0, 1, 2), (13, 20, 24)):
            for trial in trials:
                executor.submit(assignment(trial))
            found = {outcome.assignment.trial: outcome for outcome in (executor.next_outcome() for _ in trials)}
            assert {trial for trial, outcome in found.items() if outcome.lost} == {13} & set(trials)
            assert all(outcome.error.isdigit() for trial, outcome in found.items() if trial != 13)


def test_a_trial_that_hangs_costs_those_beside_it_their_worker_only(ray_address: str) -> None:
    """Its time runs half as fast while it shares the worker."""
    with closing(WorkersExecutor(make_packed_runner, Demand(1, address=ray_address), trial_timeout=2.0, most_packed=3)) as executor:
        executor.describe()
        executor.submit(assignment(99))
        time.sleep(1.5)
        executor.submit(assignment(34))
        began = time.monotonic()
        first = executor.next_outcome()
        assert time.monotonic() - began > 0.9  # by the clock it had half a second left
        second = executor.next_outcome()
        assert first.error == "it ran longer than 2 s (--trial-timeout)"
        assert (first.assignment.trial, second.assignment.trial) == (99, 34)
        assert second.error.isdigit()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1"])
def test_a_cluster_that_is_not_there(address: str) -> None:
    with pytest.raises(UnavailableError, match="no Ray cluster answers"):
        WorkersExecutor(make_runner, Demand(1, address=address))


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"], ids=["silent", "another"])
def test_what_answers_is_no_cluster(monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    monkeypatch.setattr(ray_cluster, "PROBE_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(answer)
                connection.recv(1000)
                time.sleep(1.0)

        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(UnavailableError, match=r"no Ray cluster answers: (timed out|what answers there is no Ray)"):
            WorkersExecutor(make_runner, Demand(1, address=f"127.0.0.1:{server.getsockname()[1]}"))


@pytest.mark.parametrize("address", ["127.0.0.1", "ray://host", "host:port"])
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(InvalidInputError, match="must be auto, host:port or ray://host:port"):
        WorkersExecutor(make_runner, Demand(1, address=address))


def test_what_fails_to_start_leaves_no_ray_behind() -> None:
    import ray

    lock = threading.Lock()  # can't be pickled
    with pytest.raises(TypeError, match="pickle"):
        WorkersExecutor(lambda _: lock, Demand(1))  # type: ignore[arg-type, return-value]
    assert not ray.is_initialized()


def test_ray_may_have_been_imported_first() -> None:
    code = (
        "import ray\n"
        "from autopeft.executors import cluster\n"
        "if __name__ == '__main__':\n"
        "    cluster.start(1)\n"
        "    print('nodes:', len(ray.nodes()))\n"
        "    ray.shutdown()\n"
    )
    # Whether Ray asks for a token it reads when it is imported: not this process's setting, but that of a user who sets none.
    environment = {name: value for name, value in os.environ.items() if name != "RAY_AUTH_MODE"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert "nodes: 1" in done.stdout, done.stderr


def test_a_ray_that_is_in_use_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    stopped: list[bool] = []
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "shutdown", lambda: stopped.append(True))
    with pytest.raises(UnavailableError, match="Ray is in use in this process already"):
        WorkersExecutor(make_runner, Demand(1))
    assert not stopped
