from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from autopeft.budget import Budget
from autopeft.configuration import Configuration, PeftModule
from autopeft.methods.compose import apply
from autopeft.tasks import TaskData, family_of
from autopeft.training import metering
from autopeft.training.activation_cache import ActivationCache
from autopeft.training.backbone import find_backbone
from autopeft.training.hidden_states import FrozenPart, HiddenStates, _agree
from autopeft.training.measurement import Assignment, Measurement, RunnerSettings
from autopeft.training.model import example_inputs
from autopeft.training.precision import products
from autopeft.training.runner import TrialRunner

UPPER = (1, 2)
N_STEPS = 50
BUDGET = Budget(epochs=13, batch_size=8, max_length=32)
MODULES = {
    "head only": (),
    "serial_adapter": (PeftModule("serial_adapter", 4, UPPER),),
    "parallel_adapter": (PeftModule("parallel_adapter", 4, UPPER),),
    "compacter": (PeftModule("compacter", 4, UPPER),),
    "prefix": (PeftModule("prefix", 3, UPPER),),
    "lora": (PeftModule("lora", 4, UPPER, options={"dropout": 0.1}),),
    "ia3": (PeftModule("ia3", 1, UPPER),),
    "bitfit": (PeftModule("bitfit", 1, UPPER),),
    "loreft": (PeftModule("loreft", 2, UPPER),),
    "lofit": (PeftModule("lofit", 1, UPPER),),
    "composite": (PeftModule("lora", 2, (2,)), PeftModule("prefix", 3, UPPER), PeftModule("serial_adapter", 4, UPPER)),
}


@pytest.fixture(scope="module")
def runners(backbone_folder: Path, data: TaskData) -> tuple[TrialRunner, TrialRunner]:
    """A runner that keeps hidden states and one that may not, both in float32."""
    settings = RunnerSettings(find_backbone(str(backbone_folder)), data.task, data.train, data.validation, threads=1)
    found = TrialRunner(settings), TrialRunner(replace(settings, cache_bytes=0))
    for one in found:
        one._bfloat16 = False
    return found


def measured(runner: TrialRunner, modules: tuple[PeftModule, ...], n_points: int = 10) -> Measurement:
    configuration = Configuration(modules, {"learning_rate": 5e-3})
    points = tuple((point + 1) / n_points for point in range(n_points))
    outcome = runner.run(Assignment(0, configuration, BUDGET, 1, points))
    assert outcome.measurement is not None, outcome.error
    return outcome.measurement


@pytest.mark.parametrize("modules", MODULES.values(), ids=MODULES)
def test_losses_are_the_same_with_and_without(runners: tuple[TrialRunner, TrialRunner], modules: tuple[PeftModule, ...]) -> None:
    kept, computed = (measured(runner, modules) for runner in runners)
    assert kept.not_reused == ""
    assert "--cache-bytes" in computed.not_reused
    assert kept.examples_seen >= N_STEPS * BUDGET.batch_size
    # Hidden states of a batch padded otherwise are rounded otherwise, in the last bits of float32.
    assert [point.train_loss for point in kept.curve] == pytest.approx([point.train_loss for point in computed.curve], rel=1e-4)
    assert kept.curve[0].train_loss == pytest.approx(computed.curve[0].train_loss, rel=1e-6)


@pytest.mark.parametrize(
    ("modules", "reason"),
    [
        ((PeftModule("prompt_tuning", 2),), "prompt_tuning trains something outside the layers"),
        ((PeftModule("lora", 2, (0, 2)),), "nothing lies below the first layer"),
    ],
    ids=lambda value: "" if isinstance(value, str) else value[0].method,
)
def test_where_it_would_be_inexact_it_is_refused_with_the_reason(
    runners: tuple[TrialRunner, TrialRunner], modules: tuple[PeftModule, ...], reason: str
) -> None:
    assert reason in measured(runners[0], modules, 1).not_reused


def test_trials_share_what_is_cached(backbone_folder: Path, data: TaskData) -> None:
    runner = TrialRunner(RunnerSettings(find_backbone(str(backbone_folder)), data.task, data.train, data.validation, threads=1))
    first = measured(runner, MODULES["lora"], 1)
    held = runner._hidden_states.held_bytes
    assert held > 0
    assert measured(runner, MODULES["lora"], 1).curve == first.curve
    assert runner._hidden_states.held_bytes == held
    measured(runner, (PeftModule("lora", 4, (2,)),), 1)  # a higher layer: computed from what is there
    assert runner._hidden_states.held_bytes > held


def test_filling_the_cache_is_no_time_of_the_steps(backbone_folder: Path, data: TaskData, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that goes on while hidden states are cached, and stands still else."""
    now, compute = [0.0], FrozenPart._compute

    def slowly(part: FrozenPart, *about: Any) -> Any:
        now[0] += 1000.0
        return compute(part, *about)

    monkeypatch.setattr(FrozenPart, "_compute", slowly)
    monkeypatch.setattr(metering, "time", SimpleNamespace(perf_counter=lambda: now[0], process_time=lambda: 0.0))
    runner = TrialRunner(RunnerSettings(find_backbone(str(backbone_folder)), data.task, data.train, data.validation, threads=1))
    first, second = (measured(runner, MODULES["lora"], 1) for _ in range(2))
    assert (first.train_seconds, second.train_seconds) == (0.0, 0.0)
    assert first.seconds >= 2000.0 + second.seconds  # of training and of validation examples


def test_the_least_used_goes_first(backbone_folder: Path, data: TaskData) -> None:
    runner = TrialRunner(RunnerSettings(find_backbone(str(backbone_folder)), data.task, data.train, data.validation, threads=1))
    family = family_of(data.task)
    split = family.encode(runner._loaded.processor, data.train, 16)
    model, topology = runner._loaded.model, runner._topology
    one_boundary = int(split.lengths.sum()) * model.config.hidden_size * 4
    states = HiddenStates(model, topology, example_inputs(runner._loaded, family), one_boundary)
    for layer in (1, 2, 1):
        applied = apply(model, Configuration((PeftModule("lora", 2, (layer,)),)), topology=topology)
        part = states.below(applied, split)
        assert part.activations_of(split) is not None
        part.release()
        applied.eject()
        assert states.held_bytes == one_boundary


def test_a_stop_while_it_is_tried_out_stops(backbone_folder: Path, data: TaskData, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = TrialRunner(RunnerSettings(find_backbone(str(backbone_folder)), data.task, data.train, data.validation, threads=1))

    @contextmanager
    def ending_badly(*_: object) -> Iterator[None]:
        try:
            raise KeyboardInterrupt
        finally:
            raise RuntimeError("trying to pop from empty mode stack")
        yield

    monkeypatch.setattr(FrozenPart, "reused", ending_badly)
    with pytest.raises(KeyboardInterrupt):
        measured(runner, MODULES["lora"], 1)
    monkeypatch.undo()
    assert measured(runner, MODULES["lora"], 1).not_reused == ""


def test_the_cache_keeps_to_its_bound() -> None:
    assert not ActivationCache(10).make_room(11, pinned=())
    assert ActivationCache(10).make_room(10, pinned=())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_products_in_16_bits_may_round_otherwise_in_batches_of_another_shape(dtype: torch.dtype) -> None:
    """As they do on GPUs; by float32's measure nothing would be reused there."""
    rounding = torch.finfo(dtype).eps
    computed = torch.tensor([1.0, 0.5])
    with products(torch.device("cpu"), dtype):
        assert _agree(computed * (1 + rounding), computed)
        assert not _agree(computed * (1 + 8 * rounding), computed)
    assert not _agree(computed * (1 + rounding), computed)
