"""Several trials at once in one runner."""

import _thread
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from autopeft.budget import Budget
from autopeft.configuration import Configuration, PeftModule
from autopeft.errors import UnsupportedError
from autopeft.executors.inline import InlineExecutor
from autopeft.tasks import Encoded, TaskData
from autopeft.training import loop, runner, seats
from autopeft.training.backbone import find_backbone
from autopeft.training.loop import summed_loss
from autopeft.training.measurement import Assignment, Measurement, Outcome, RunnerSettings
from autopeft.training.runner import TrialRunner
from autopeft.training.seats import MemoryForecast
from autopeft.training.skeletons import skeleton
from tests.training.test_runner import digest

BUDGET = Budget(epochs=2, batch_size=8, max_length=32)
LAYERS = (0, 2)
MIXES = {
    "lora everywhere": [PeftModule("lora", 4, (0, 1, 2))],
    "adapters with prefix and adalora": [
        PeftModule("serial_adapter", 4, (1, 2)),
        PeftModule("prefix", 3, LAYERS),
        PeftModule("adalora", 6, (1,)),
    ],
    "own weights": [PeftModule("bitfit", 1, (0, 1, 2)), PeftModule("oft", 4, (2,))],
    "a schedule, and fixed entries": [PeftModule("gradual_unfreezing", 1), PeftModule("dsee", 2, LAYERS)],
}
"""Above the second layer hidden states are kept, and the backbone has dropout."""


def assignment(trial: int, budget: Budget = BUDGET) -> Assignment:
    modules = list(MIXES.values())[trial % len(MIXES)]
    return Assignment(trial, Configuration(tuple(modules), {"learning_rate": 1e-2}), budget, trial, budget.epoch_ends)


@pytest.fixture(scope="module")
def settings(backbone_folder: Path, data: TaskData) -> RunnerSettings:
    return RunnerSettings(find_backbone(str(backbone_folder)), data.task, data.train, data.validation, threads=1)


@pytest.fixture(scope="module", autouse=True)
def _in_float32() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "has_bfloat16", lambda device: False)
        yield


@pytest.fixture(scope="module")
def packed(settings: RunnerSettings, _in_float32: None) -> TrialRunner:
    return TrialRunner(replace(settings, pack=4))


@pytest.fixture(scope="module")
def alone(settings: RunnerSettings, _in_float32: None) -> list[Outcome]:
    alone = TrialRunner(settings)
    return [alone.run(assignment(trial)) for trial in range(6)]


def at_once(runner: TrialRunner, assignments: Sequence[Assignment]) -> list[Outcome]:
    with ThreadPoolExecutor(len(assignments)) as threads:
        return list(threads.map(runner.run, assignments))


def measured(outcome: Outcome) -> Measurement:
    assert outcome.measurement is not None, outcome.traceback
    return outcome.measurement


def require_same(found: Sequence[Outcome], expected: Sequence[Outcome]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert measured(one).curve == measured(other).curve
        assert one.adapter["adapter.safetensors"] == other.adapter["adapter.safetensors"]


def test_losses_metrics_and_tensors_are_those_of_each_trial_alone_with_pauses_in_between(packed: TrialRunner, alone: list[Outcome]) -> None:
    """Six trials over four places: they change places at their pauses, and each has others beside it as it goes on."""
    before = digest(packed._loaded.model.state_dict())

    def in_three_parts(whole: Assignment) -> Outcome:
        outcome: Outcome | None = None
        for point in (0.2, *BUDGET.epoch_ends):
            outcome = packed.run(replace(whole, measure_at=(point,), checkpoint=None if outcome is None else outcome.checkpoint))
            assert not outcome.error, outcome.traceback
        assert outcome is not None
        curve = tuple(point for point in measured(outcome).curve if point.progress != 0.2)
        return replace(outcome, measurement=replace(measured(outcome), curve=curve))

    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(in_three_parts, map(assignment, range(6))))
    for one, other in zip(found, alone, strict=True):
        # The measurement at 0.2 is one of the packed trials' alone: it divides the first epoch's mean loss in two.
        assert [point.metrics for point in measured(one).curve] == [point.metrics for point in measured(other).curve]
        assert measured(one).curve[-1] == measured(other).curve[-1]
        assert one.adapter["adapter.safetensors"] == other.adapter["adapter.safetensors"]
        assert measured(one).n_packed == 4
    assert digest(packed._loaded.model.state_dict()) == before
    assert not any(parameter.grad is not None for parameter in packed._loaded.model.parameters())


def test_the_weights_are_in_memory_once(packed: TrialRunner) -> None:
    model = packed._loaded.model
    other = skeleton(model)
    assert [one.data_ptr() for one in model.parameters()] == [one.data_ptr() for one in other.parameters()]
    assert not {id(one) for one in model.modules()} & {id(one) for one in other.modules()}
    model.lock = threading.Lock()
    with pytest.raises(UnsupportedError, match=r"can't be shared by several trials: .* --pack 1\."):
        skeleton(model)
    del model.lock


@pytest.mark.parametrize("scheme", ["nf4", "int8"])
def test_quantised_weights_too(scheme: str) -> None:
    pytest.importorskip("bitsandbytes")
    from tests.methods.test_quantised import load

    model, ids = load("llama", scheme).eval().requires_grad_(False), torch.arange(1, 7)[None]
    with torch.no_grad():
        expected = model(input_ids=ids).logits
        other = skeleton(model)
        assert torch.equal(other(input_ids=ids).logits, expected)
    assert [one.data_ptr() for one in model.parameters()] == [one.data_ptr() for one in other.parameters()]
    quantised = [module for module in other.modules() if hasattr(module, "weight") and not module.weight.is_floating_point()]
    assert quantised
    if scheme == "nf4":
        kept = {id(parameter.quant_state) for parameter in model.parameters() if hasattr(parameter, "quant_state")}
        assert {id(module.weight.quant_state) for module in quantised} <= kept


@pytest.mark.parametrize("scheme", ["nf4", "int8"])
def test_trials_over_quantised_weights_are_those_alone_too(settings: RunnerSettings, backbone_folder: Path, scheme: str) -> None:
    pytest.importorskip("bitsandbytes")
    settings = replace(settings, backbone=find_backbone(str(backbone_folder), quantize=scheme))
    some = [replace(assignment(trial), budget=replace(BUDGET, epochs=1), measure_at=(1.0,)) for trial in (0, 1, 4)]
    alone = TrialRunner(settings)
    require_same(at_once(TrialRunner(replace(settings, pack=3)), some), [alone.run(one) for one in some])


def test_an_error_is_that_of_its_trial_only(packed: TrialRunner, alone: list[Outcome]) -> None:
    diverging = replace(assignment(0), configuration=Configuration((PeftModule("lora", 4, LAYERS),), {"learning_rate": 1e30}))
    absent = replace(assignment(0), configuration=Configuration((PeftModule("lora", 4, (99,)),)))
    first, second, *others = at_once(packed, [diverging, absent, assignment(1), assignment(2)])
    assert "diverged" in first.error
    assert "99" in second.error
    require_same(others, alone[1:3])


def test_shares_of_time_add_up_to_what_passed(packed: TrialRunner) -> None:
    with packed._meter.running() as whole:
        pass
    began = whole._meter._wall
    outcomes = at_once(packed, [assignment(trial) for trial in range(4)])
    elapsed = packed._meter._wall - began
    shares = [measured(outcome).seconds for outcome in outcomes]
    assert sum(shares) == pytest.approx(elapsed, rel=0.2)
    assert all(0 < measured(outcome).train_seconds < measured(outcome).seconds for outcome in outcomes)


@pytest.mark.parametrize("room", [2, 1])
def test_where_memory_runs_out_the_pack_halves_and_in_the_end_a_trial_runs_alone(
    packed: TrialRunner, alone: list[Outcome], monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    """With its whole batches: only a trial that found no room alone takes its steps in parts."""
    under_way: list[int] = []

    def limited(model: torch.nn.Module, split: Encoded, indices: list[int], *more: object) -> torch.Tensor:
        under_way.append(len(packed._seats._taken))
        if under_way[-1] > room:
            raise torch.OutOfMemoryError("no room")
        return summed_loss(model, split, indices, *more)

    monkeypatch.setattr(loop, "summed_loss", limited)
    require_same(at_once(packed, [assignment(trial) for trial in range(4)]), alone[:4])
    assert max(under_way) > room
    assert under_way.count(room) > 20


def test_a_trial_waits_for_room_that_is_predicted(monkeypatch: pytest.MonkeyPatch) -> None:
    device, free = torch.device("cpu"), 1000
    used = [900, 500]  # loading has freed some, which torch keeps until it is released
    monkeypatch.setattr(seats, "release_memory", lambda device: used.pop(0) if len(used) > 1 else None)
    monkeypatch.setattr(seats, "used_bytes", lambda device: used[0])
    monkeypatch.setattr(seats, "free_bytes", lambda device: free)
    forecast = MemoryForecast(device, must_measure=True)
    assert forecast.fits([10])
    assert not forecast.fits([10, 10])  # nothing is known of what a trial takes
    forecast.learn(500 + 2 * (100 + 300), n_trials=2, resident_bytes=100)
    assert forecast.step_bytes == 300
    assert forecast.fits([100, 200])  # 400 that the first may yet take, and 500
    assert not forecast.fits([100, 201])
    assert forecast.fits([10**9])  # alone it is tried in any case
    assert MemoryForecast(device, must_measure=False).fits([10, 10])


def test_in_this_process_trials_go_on_only_while_an_outcome_is_waited_for(packed: TrialRunner, alone: list[Outcome]) -> None:
    """And leave alone what this thread draws at random."""
    executor = InlineExecutor(lambda _: packed)
    assert executor.capacity == 4
    torch.manual_seed(5)
    expected = torch.rand(8)
    torch.manual_seed(5)
    drawn, found = [], []
    for trial in range(6):
        executor.submit(assignment(trial))
    for _ in range(6):
        found.append(executor.next_outcome())
        drawn.append(torch.rand(1))
        step = torch.get_rng_state()
        time.sleep(0.02)
        assert torch.equal(torch.get_rng_state(), step)
    assert torch.equal(torch.cat(drawn), expected[:6])
    require_same(sorted(found, key=lambda outcome: outcome.assignment.trial), alone)
    executor._turn.give()


def test_a_stop_ends_all_and_leaves_the_backbone_as_it_was(settings: RunnerSettings) -> None:
    stopped = TrialRunner(replace(settings, pack=2))
    before = digest(stopped._loaded.model.state_dict())
    executor = InlineExecutor(lambda _: stopped)
    for trial in range(3):  # one of them waits for a place
        executor.submit(assignment(trial, Budget(epochs=10_000, batch_size=8, max_length=32)))
    timer = threading.Timer(1.0, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        executor.next_outcome()
    assert len(stopped._seats._taken) == 2
    executor.close()
    assert not stopped._seats._taken
    assert digest(stopped._loaded.model.state_dict()) == before
    assert not hasattr(stopped._loaded.model, "autopeft_applied")
