"""Workers on GPUs that are not there: Ray hands out whatever numbers of cards its nodes say they have."""

import os
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

import pytest

from autopeft.budget import Budget
from autopeft.configuration import Configuration
from autopeft.errors import DeviceError
from autopeft.executors import cluster as ray_cluster
from autopeft.executors.base import Runner
from autopeft.executors.inline import InlineExecutor
from autopeft.executors.workers import Demand, WorkersExecutor
from autopeft.methods.topology import Topology
from autopeft.training.measurement import Assignment, BackboneFacts, CurvePoint, Measurement, Outcome

GIB = 2**30
FACTS = BackboneFacts(Topology("Tiny", "", "input_ids", "", (), (), ()), 1000, 10, "cuda", "fp32", device_bytes=16 * GIB)
BRIEFLY = Measurement({}, (CurvePoint(1, 1, 1, 0.0, {}),), 1, 1, 0.1, 0.1, 5 * GIB, 1)

pytestmark = [
    # Ray's own code warns of itself.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::FutureWarning"),
]


class CardRunner:
    """Says where it ran. The device fails on trial 13; on the card "broken" no process can use it; trials from 50 on take a while, and
    those from 60 on longer than a node needs to die."""

    def __init__(self, device: str) -> None:
        import ray

        context = ray.get_runtime_context()
        self.assigned = context.get_accelerator_ids()["GPU"]
        self.environment = {"node": context.get_node_id(), "device": device, "process": str(os.getpid())}
        self.environment["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        if self.assigned == ["broken"]:
            raise DeviceError("the device cuda has failed: CUDA error: no CUDA-capable device is detected")

    def describe(self) -> BackboneFacts:
        return FACTS

    def run(self, assignment: Assignment) -> Outcome:
        assert self.environment["CUDA_VISIBLE_DEVICES"] == ",".join(self.assigned)
        if assignment.trial == 13:
            return Outcome(assignment, error="CUDA error: device-side assert triggered", device_failed=True, environment=self.environment)
        time.sleep(3.0 if assignment.trial >= 60 else 0.3 if assignment.trial >= 50 else 0.0)
        return Outcome(assignment, BRIEFLY, environment=self.environment)


def on_a_card(device: str) -> Runner:
    return CardRunner(device)


def assignment(trial: int) -> Assignment:
    return Assignment(trial, Configuration(), Budget(), trial)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ray_cluster.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


def run(executor: WorkersExecutor, trials: range) -> list[Outcome]:
    """Run trials, as many at once as there are workers; lost ones again."""
    waiting, running, done = list(trials), 0, []
    while waiting or running:
        while waiting and running < executor.capacity:
            executor.submit(assignment(waiting.pop(0)))
            running += 1
        outcome = executor.next_outcome()
        running -= 1
        if outcome.lost:
            waiting.append(outcome.assignment.trial)
        else:
            done.append(outcome)
    return done


def processes_by_card(outcomes: list[Outcome]) -> Counter[tuple[str, str]]:
    seen = {(one.environment["node"], one.environment["CUDA_VISIBLE_DEVICES"], one.environment["process"]) for one in outcomes}
    return Counter((node, card) for node, card, _ in seen)


def run_until(enough: Callable[[Counter[tuple[str, str]]], bool], executor: WorkersExecutor) -> list[Outcome]:
    """Run trials until enough processes have had some: they take seconds to start."""
    found: list[Outcome] = []
    deadline = time.monotonic() + 120
    while not enough(processes_by_card(found)):
        assert time.monotonic() < deadline
        found += run(executor, range(50, 50 + executor.capacity))
    return found


@pytest.mark.usefixtures("environment")
def test_three_nodes_of_which_one_joins_late_one_dies_and_one_has_no_card(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.cluster_utils import Cluster

    monkeypatch.setattr("autopeft.executors.workers.FOLLOW_SECONDS", 0.2)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "num_gpus": 0})
    try:
        dying = cluster.add_node(num_cpus=8, num_gpus=2)
        with closing(WorkersExecutor(on_a_card, Demand(None, "auto", 0.5, cluster.address))) as executor:
            assert executor.capacity == 4
            before = run_until(lambda found: found.total() == 4, executor)
            assert sorted(processes_by_card(before).values()) == [2, 2]
            assert {one.environment["node"] for one in before} == {dying.node_id}
            late = cluster.add_node(num_cpus=8, num_gpus=1)
            both = run_until(lambda found: found[late.node_id, "0"] == 2, executor)
            assert sorted(processes_by_card(both).values()) == [2, 2, 2]
            assert executor.capacity == 6
            for trial in range(6):
                executor.submit(assignment(60 + trial))
            cluster.remove_node(dying, allow_graceful=False)
            again, n_lost = [], 0
            while len(again) < 6:
                outcome = executor.next_outcome()
                if outcome.lost:
                    n_lost += 1
                    executor.submit(outcome.assignment)
                else:
                    again.append(outcome)
            assert n_lost
            assert again[-1].environment["node"] == late.node_id
            assert {one.environment["device"] for one in [*before, *both, *again]} == {"cuda"}
    finally:
        cluster.shutdown()


def test_a_process_that_its_card_has_failed_is_replaced_and_a_card_that_no_process_can_use_is_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with closing(WorkersExecutor(on_a_card, Demand(None, "cuda", cards=("5", "broken"), n_cpus=2))) as executor:
        first = run(executor, range(4))
        executor.submit(assignment(13))
        failed = executor.next_outcome()
        assert (failed.lost, failed.measurement) == (True, None)
        after = run(executor, range(4))
        assert {one.environment["CUDA_VISIBLE_DEVICES"] for one in [*first, *after]} == {"5"}
        assert first[0].environment["process"] != after[0].environment["process"]
        assert executor.capacity == 1
    assert "going on with 1 worker: the device cuda has failed" in caplog.text


def test_where_the_only_card_is_lost_the_search_ends() -> None:
    with (
        closing(WorkersExecutor(on_a_card, Demand(None, "cuda", cards=("broken",)))) as executor,
        pytest.raises(DeviceError, match="no CUDA-cap"),
    ):
        executor.describe()


def test_as_many_share_a_card_as_the_first_trial_leaves_room_for() -> None:
    with closing(WorkersExecutor(on_a_card, Demand(None, "cuda", None, cards=("0", "1"), n_cpus=8))) as executor:
        assert executor.capacity == 2
        executor.describe()
        run(executor, range(2))
        assert executor.capacity == 2 * 2  # of 16 GiB a trial takes 5, which with the margins leaves room for one more
        shared = run_until(lambda found: found.total() == 4, executor)
        assert sorted(processes_by_card(shared).values()) == [2, 2]


def test_cards_that_no_node_has(ray_address: str) -> None:
    with pytest.raises(DeviceError, match="no node of the cluster has a GPU"):
        WorkersExecutor(on_a_card, Demand(None, "cuda", address=ray_address))
    with closing(WorkersExecutor(on_a_card, Demand(None, "auto", address=ray_address))) as executor:
        assert executor.capacity == 2
        assert {one.environment["device"] for one in run(executor, range(2))} == {"cpu"}


def test_in_this_process_a_device_that_has_failed_ends_the_search() -> None:
    class Failing:
        def describe(self) -> BackboneFacts:
            return FACTS

        def run(self, assignment: Assignment) -> Outcome:
            return Outcome(assignment, error="CUDA error: unspecified launch failure", device_failed=True)

    with closing(InlineExecutor(lambda device: Failing())) as executor:
        executor.submit(replace(assignment(0)))
        with pytest.raises(DeviceError, match="in this process any more: CUDA error"):
            executor.next_outcome()
