import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from autopeft.budget import Budget
from autopeft.configuration import Configuration, PeftModule
from autopeft.methods import registry
from autopeft.methods.checkpoint import unpack
from autopeft.methods.method import Method
from autopeft.methods.topology import Topology
from autopeft.tasks import Encoded, TaskData, family_of
from autopeft.training import loop
from autopeft.training.backbone import find_backbone
from autopeft.training.batches import batch_sizes
from autopeft.training.evaluate import evaluate
from autopeft.training.loop import summed_loss
from autopeft.training.measurement import Assignment, Outcome, RunnerSettings
from autopeft.training.recipes.schedules import schedule
from autopeft.training.runner import TrialRunner

BUDGET = Budget(epochs=2, batch_size=8, max_length=32)
LAYERS = (0, 2)
CONFIGURATIONS = {
    "head only": Configuration((), {"learning_rate": 1e-2}),
    "lora": Configuration((PeftModule("lora", 4, LAYERS),), {"learning_rate": 1e-2}),
    "adalora": Configuration((PeftModule("adalora", 6, LAYERS),), {"learning_rate": 1e-2}),
    "composite": Configuration(
        (
            PeftModule("serial_adapter", 4, LAYERS),
            PeftModule("parallel_adapter", 4, LAYERS),
            PeftModule("prefix", 3, LAYERS),
            PeftModule("lora", 2, LAYERS),
        ),
        {"learning_rate": 1e-2},
    ),
}
every_configuration = pytest.mark.parametrize("configuration", CONFIGURATIONS.values(), ids=CONFIGURATIONS.keys())


def digest(tensors: Mapping[str, torch.Tensor]) -> str:
    return hashlib.sha256(b"".join(name.encode() + tensor.numpy().tobytes() for name, tensor in tensors.items())).hexdigest()


def state(runner: TrialRunner) -> str:
    return digest(runner._loaded.model.state_dict())


def run(runner: TrialRunner, configuration: Configuration, seed: int = 0, budget: Budget = BUDGET) -> Outcome:
    return runner.run(Assignment(0, configuration, budget, seed, budget.epoch_ends))


@every_configuration
def test_a_trial_measures_and_leaves_the_backbone_as_it_was(runner: TrialRunner, configuration: Configuration) -> None:
    before = state(runner)
    outcome = run(runner, configuration)
    assert state(runner) == before
    assert outcome.error == ""
    found = outcome.measurement
    assert found is not None
    assert [(point.epoch, point.progress) for point in found.curve] == [(1, 0.5), (2, 1)]
    assert found.cpu_seconds > 0
    assert found.metrics == found.curve[-1].metrics
    assert found.examples_seen == 2 * len(runner._settings.train)
    assert found.head_parameters == (32 * 32 + 32) + (2 * 32 + 2)  # pooler and classifier
    assert found.peak_bytes > 0
    assert 0 < found.train_seconds < found.seconds


def test_parameters_are_the_closed_forms(runner: TrialRunner) -> None:
    found = run(runner, CONFIGURATIONS["composite"]).measurement
    assert found is not None
    hidden, bottleneck, prefix, rank = 32, 4, 3, 2
    per_layer = 2 * (2 * hidden * bottleneck + bottleneck + hidden) + prefix * 2 * hidden + 2 * rank * (hidden + hidden)
    assert found.trainable_parameters == 2 * per_layer


@every_configuration
def test_training_lowers_the_loss(runner: TrialRunner, configuration: Configuration) -> None:
    found = run(runner, configuration, budget=Budget(epochs=6, batch_size=8, max_length=32)).measurement
    assert found is not None
    assert found.curve[-1].train_loss < found.curve[0].train_loss


def test_same_seed_same_numbers_other_seed_other_numbers(runner: TrialRunner) -> None:
    first, second, other = (run(runner, CONFIGURATIONS["composite"], seed) for seed in (3, 3, 4))
    assert first.measurement is not None
    assert second.measurement is not None
    assert other.measurement is not None
    assert first.measurement.curve == second.measurement.curve
    assert first.adapter["adapter.safetensors"] == second.adapter["adapter.safetensors"]
    assert first.measurement.curve != other.measurement.curve


@every_configuration
def test_the_adapter_gives_the_stored_metrics(runner: TrialRunner, configuration: Configuration, data: TaskData) -> None:
    outcome = run(runner, configuration)
    assert outcome.measurement is not None
    model, validation = runner._loaded.model, family_of(data.task).encode(runner._loaded.processor, data.validation, BUDGET.max_length)
    applied = unpack(model, outcome.adapter, topology=runner._topology)
    try:
        again = evaluate(model, validation)
    finally:
        applied.eject()
    assert again == dict(outcome.measurement.metrics)


@every_configuration
def test_pausing_changes_nothing(runner: TrialRunner, configuration: Configuration) -> None:
    """Not even within an epoch, nor when the modules use dropout: the backbone here has dropout of its own."""
    points = (0.2, 0.5, 1.0)
    assignment = Assignment(0, configuration, BUDGET, 0, points)
    whole = runner.run(assignment)
    outcome: Outcome | None = None
    for point in points:
        outcome = runner.run(replace(assignment, measure_at=(point,), checkpoint=None if outcome is None else outcome.checkpoint))
        assert bool(outcome.state) == (point < 1)
        run(runner, CONFIGURATIONS["lora"], seed=9)  # another trial comes in between
    assert whole.measurement is not None
    assert outcome is not None
    assert outcome.measurement is not None
    assert outcome.measurement.curve == whole.measurement.curve
    assert outcome.adapter["adapter.safetensors"] == whole.adapter["adapter.safetensors"]
    assert outcome.measurement.progress == 1


@pytest.mark.parametrize(
    "module",
    [
        PeftModule("gradual_unfreezing", 1),
        PeftModule("hft", 1),
        PeftModule("greentrainer", 1),
        PeftModule("lt_sft", 10, LAYERS),
        PeftModule("spiel", 10, LAYERS),
        PeftModule("spiel", 50, LAYERS, options={"growth": "momenta"}),
        PeftModule("triadaptlora", 4, LAYERS),
        PeftModule("lofit", 1, LAYERS, options={"heads": 0.25}),
    ],
    ids=lambda module: module.method + str(module.options.get("growth", "")),
)
def test_pausing_changes_nothing_in_a_schedule(runner: TrialRunner, module: PeftModule) -> None:
    test_pausing_changes_nothing(runner, Configuration((module,), {"learning_rate": 1e-3}))


def test_batches_of_tokens(runner: TrialRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps, learning rate and loss go by them, and pausing changes nothing."""
    budget, rates, losses = Budget(epochs=2, max_length=32, batch_tokens=100), list[float](), list[tuple[float, int]]()
    update = loop.Training._update

    def noted(self: loop.Training, indices: list[int], n_terms: int) -> float:
        losses.append((update(self, indices, n_terms), len(indices)))
        rates.append(self._optimizer.param_groups[0]["lr"])
        return losses[-1][0]

    monkeypatch.setattr(loop.Training, "_update", noted)
    whole = Assignment(0, CONFIGURATIONS["lora"], budget, 0, (0.3, 1.0))
    expected = runner.run(whole)
    n_steps = 2 * len(batch_sizes(runner.examples.of(budget)[0], budget))
    assert rates == [pytest.approx(1e-2 * schedule("linear", step, n_steps, 0.06)) for step in range(n_steps)]
    first = losses[: round(0.3 * n_steps)]
    assert len({n for _, n in first}) > 1
    assert expected.measurement is not None
    mean = sum(loss * n for loss, n in first) / sum(n for _, n in first)
    assert expected.measurement.curve[0].train_loss == pytest.approx(mean)
    assert expected.measurement.examples_seen == 2 * len(runner._settings.train)
    found = runner.run(replace(whole, measure_at=(1.0,), checkpoint=runner.run(replace(whole, measure_at=(0.3,))).checkpoint))
    assert found.measurement is not None
    assert found.measurement.curve == expected.measurement.curve
    assert found.adapter["adapter.safetensors"] == expected.adapter["adapter.safetensors"]


def test_a_paused_trial_goes_on_only_with_its_own_parameters(runner: TrialRunner) -> None:
    first = Assignment(0, CONFIGURATIONS["lora"], BUDGET, 0, (0.5,))
    paused = runner.run(first)
    outcome = runner.run(replace(first, configuration=CONFIGURATIONS["composite"], measure_at=(1.0,), checkpoint=paused.checkpoint))
    assert "must go on with the parameters it had" in outcome.error


def test_the_clock_of_the_steps_stops_when_the_device_has_done_them(runner: TrialRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU goes on after its last step was asked for; here waiting for it takes a while."""
    monkeypatch.setattr("autopeft.training.runner.synchronize", lambda device: time.sleep(1.0))
    measurement = run(runner, CONFIGURATIONS["head only"], budget=replace(BUDGET, epochs=1)).measurement
    assert measurement is not None
    assert measurement.train_seconds > 1.0


def test_latency_is_measured_when_asked_for(backbone_folder: Path, data: TaskData) -> None:
    settings = RunnerSettings(find_backbone(str(backbone_folder)), data.task, data.train, data.validation, threads=1, latency=True)
    runner = TrialRunner(settings)
    before = state(runner)
    for name in ("lora", "composite"):
        found = run(runner, CONFIGURATIONS[name]).measurement
        assert found is not None
        assert found.latency_seconds is not None
        assert 0 < found.latency_seconds < 1
    assert state(runner) == before


def test_failures_are_outcomes_and_leave_the_backbone_as_it_was(runner: TrialRunner) -> None:
    before = state(runner)
    bad = Configuration((PeftModule("lora", 4, (99,)),), {"learning_rate": 1e-2})
    outcome = run(runner, bad)
    assert outcome.measurement is None
    assert "99" in outcome.error
    assert "Traceback" in outcome.traceback
    diverged = run(runner, Configuration(CONFIGURATIONS["lora"].modules, {"learning_rate": 1e30}), budget=Budget(epochs=3, batch_size=8))
    assert diverged.measurement is None
    assert "diverged" in diverged.error
    assert state(runner) == before
    assert run(runner, CONFIGURATIONS["lora"]).error == ""


class OwnError(Exception):
    pass


class Panic(BaseException):
    """As libraries in Rust raise it."""


@pytest.mark.parametrize("error", [IndexError("out of range"), OwnError("mine"), OwnError(), SystemExit(3), Panic("in Rust")])
@pytest.mark.parametrize("where", ["inject", "forward"])
def test_whatever_a_method_raises_is_an_outcome(
    runner: TrialRunner, monkeypatch: pytest.MonkeyPatch, error: BaseException, where: str
) -> None:
    """While it is put onto the model, half done, or while it is trained."""

    def fail(*_: object) -> None:
        raise error

    def inject(model: torch.nn.Module, module: PeftModule, topology: Topology) -> None:
        target = model.get_submodule(topology.blocks[0].name)
        target.extra = torch.nn.Linear(2, 2)
        target.register_forward_pre_hook(fail)
        if where == "inject":
            fail()

    method = Method("broken", "representation", "fails", "none", inject=inject, count=lambda module, topology: 6)
    monkeypatch.setitem(registry._METHODS, "broken", method)
    before, modules = state(runner), dict(runner._loaded.model.named_modules())
    outcome = run(runner, Configuration((PeftModule("broken", 1, (0,)),), {"learning_rate": 1e-2}))
    assert outcome.measurement is None
    assert outcome.error == f"{type(error).__name__}: {error}".removesuffix(": ")
    assert "Traceback" in outcome.traceback
    assert "in fail" in outcome.traceback
    assert (state(runner), dict(runner._loaded.model.named_modules())) == (before, modules)
    assert run(runner, CONFIGURATIONS["lora"]).error == ""


def test_a_stop_that_an_error_hides_still_stops(runner: TrialRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def ending_badly() -> Iterator[None]:
        try:
            yield
        finally:
            raise RuntimeError("trying to pop from empty mode stack")

    def stopped(self: loop.Training, until: int) -> None:
        with ending_badly():
            raise KeyboardInterrupt

    monkeypatch.setattr(loop.Training, "advance", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(runner, CONFIGURATIONS["lora"])
    monkeypatch.undo()
    assert run(runner, CONFIGURATIONS["lora"]).error == ""


def test_the_global_random_stream_is_not_touched(runner: TrialRunner) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    run(runner, CONFIGURATIONS["lora"])
    assert torch.equal(torch.rand(3), expected)


@pytest.fixture
def crowded(runner: TrialRunner, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[int]]:
    """Give the loss room for so many examples only; return how many came each time. Without dropout, so that sums can be compared."""
    for module in runner._loaded.model.modules():
        if isinstance(module, torch.nn.Dropout):
            monkeypatch.setattr(module, "p", 0.0)

    def limit(room: int) -> list[int]:
        came: list[int] = []

        def limited(model: torch.nn.Module, split: Encoded, indices: list[int], *more: object) -> torch.Tensor:
            came.append(len(indices))
            if len(indices) > room:
                raise torch.OutOfMemoryError("no room")
            return summed_loss(model, split, indices, *more)

        monkeypatch.setattr(loop, "summed_loss", limited)
        return came

    return limit


def test_where_memory_runs_out_a_step_is_taken_in_parts(runner: TrialRunner, crowded: Callable[[int], list[int]]) -> None:
    before, configuration = state(runner), CONFIGURATIONS["composite"]
    crowded(8)
    whole = run(runner, configuration)
    came = crowded(3)
    parts = run(runner, configuration)
    assert came[:5] == [8, 8, 4, 2, 2]  # the second time with layers computed twice
    assert max(came[3:]) == 2
    assert state(runner) == before
    assert whole.measurement is not None
    assert parts.measurement is not None
    assert parts.measurement.examples_seen == whole.measurement.examples_seen
    losses = [[point.train_loss for point in one.curve] for one in (whole.measurement, parts.measurement)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-2 if runner.describe().precision == "bf16" else 1e-5)


def test_what_doesn_t_fit_at_all_fails(runner: TrialRunner, crowded: Callable[[int], list[int]]) -> None:
    before = state(runner)
    assert crowded(0) == []
    outcome = run(runner, CONFIGURATIONS["lora"])
    assert outcome.error.startswith("out of memory, in as small steps as it can take: no room")
    assert state(runner) == before
