"""Layers computed twice instead of kept give the same numbers."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from autopeft.budget import Budget
from autopeft.configuration import Configuration, PeftModule
from autopeft.tasks import load_files
from autopeft.training import loop
from autopeft.training.backbone import find_backbone
from autopeft.training.measurement import Assignment, RunnerSettings
from autopeft.training.runner import TrialRunner
from tests.tasks.small import write_task

ASSIGNMENT = Assignment(
    0,
    Configuration(
        (
            PeftModule("mixture", 4, (1, 2)),
            PeftModule("parallel_adapter", 4, (0, 2), options={"gated": True}),
            PeftModule("prefix", 3, (1,)),
            PeftModule("lora", 4, (0, 1, 2)),
        ),
        {"learning_rate": 1e-2},
    ),
    Budget(epochs=2, batch_size=8, max_length=32),
    0,
    (0.5, 1.0),
)


@pytest.fixture(params=["classification", "causal_lm", "seq2seq"])
def runner(request: pytest.FixtureRequest, backbone_folder: Path, tmp_path: Path) -> TrialRunner:
    file, model = write_task(request.param, tmp_path, backbone_folder)
    data = load_files(file, file, file, with_test=True)
    return TrialRunner(RunnerSettings(find_backbone(str(model)), data.task, data.train, data.validation, threads=1))


def saved_bytes(runner: TrialRunner, mode: str, monkeypatch: pytest.MonkeyPatch) -> tuple[object, int]:
    """Return a trial's curve, and the most bytes that a step kept for its backward pass."""
    most = 0

    def counted(self: loop.Training, indices: list[int], n_terms: int, n_pass: int) -> float:
        nonlocal most
        kept = 0

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            nonlocal kept
            kept += 0 if isinstance(tensor, torch.nn.Parameter) else tensor.nbytes
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            value = add(self, indices, n_terms, n_pass)
        most = max(most, kept)
        return value

    add = loop.Training._add_gradients
    with monkeypatch.context() as patch:
        patch.setattr(loop.Training, "_add_gradients", counted)
        runner._settings = replace(runner._settings, gradient_checkpointing=mode)
        outcome = runner.run(ASSIGNMENT)
    assert outcome.measurement is not None, outcome.traceback
    assert outcome.environment.get("gradient_checkpointing") == (None if mode == "off" else mode)
    return [(point.train_loss, point.metrics) for point in outcome.measurement.curve], most


def test_numbers_are_the_same_to_the_last_bit_and_less_is_kept(runner: TrialRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, much = saved_bytes(runner, "off", monkeypatch)
    twice, little = saved_bytes(runner, "on", monkeypatch)
    assert twice == plain
    assert little < 0.7 * much
    assert all("forward" not in vars(module) for module in runner._loaded.model.modules())


def test_where_memory_runs_out_layers_are_computed_twice_before_steps_are_taken_in_parts(
    runner: TrialRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    if runner._settings.task.kind != "classification":
        pytest.skip("once is enough")
    add = loop.Training._add_gradients

    def crowded(self: loop.Training, indices: list[int], n_terms: int, n_pass: int) -> float:
        twice = any("_checkpointed" in repr(vars(module).get("forward")) for module in self.model.modules())
        if len(indices) > (4 if twice else 0):
            raise torch.OutOfMemoryError("no room")
        return add(self, indices, n_terms, n_pass)

    monkeypatch.setattr(loop.Training, "_add_gradients", crowded)
    outcome = runner.run(ASSIGNMENT)
    assert outcome.measurement is not None, outcome.traceback
    assert (outcome.environment["gradient_checkpointing"], outcome.environment["micro_batch"]) == ("on", "4")
    runner._settings = replace(runner._settings, gradient_checkpointing="off")
    outcome = runner.run(ASSIGNMENT)
    assert outcome.out_of_memory
    assert outcome.error.startswith("out of memory, in as small steps as it can take: no room. A shorter --max-length")
