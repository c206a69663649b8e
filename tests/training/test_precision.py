"""Backbones whose matrices take 16 bits: what is trained and kept, and what follows such a run."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load as read_tensors

from autopeft.api import SilentSearch
from autopeft.budget import Budget
from autopeft.configuration import Configuration, PeftModule
from autopeft.errors import UnsupportedError
from autopeft.export.finished_trial import read_trial
from autopeft.export.trained import load_trained
from autopeft.loops.retrain import RetrainRequest
from autopeft.loops.search import search
from autopeft.methods.compose import apply
from autopeft.methods.counting import resolve
from autopeft.methods.discovery import discover
from autopeft.methods.method import Method
from autopeft.methods.registry import all_methods
from autopeft.request import SearchRequest
from autopeft.study.directory import RunDirectory
from autopeft.tasks import TaskData
from autopeft.training.backbone import find_backbone
from autopeft.training.measurement import Assignment, RunnerSettings
from autopeft.training.precision import hold_in_float32, products, weights_dtype
from autopeft.training.runner import TrialRunner
from tests.methods.families import FAMILIES, logits_of
from tests.methods.test_conformance import module_of

HALVES = [torch.bfloat16, torch.float16]
CPU = torch.device("cpu")
BUDGET = Budget(epochs=4, batch_size=8, max_length=32)
COMPOSITE = Configuration(
    (
        PeftModule("serial_adapter", 4, (0, 2)),
        PeftModule("prefix", 3, (0, 2)),
        PeftModule("lora", 2, (0, 2)),
        PeftModule("norm_tuning", 1, (0, 2)),
    ),
    {"learning_rate": 1e-2},
)


@pytest.fixture(scope="module", params=HALVES, ids=str)
def half(request: pytest.FixtureRequest) -> torch.dtype:
    return request.param


@pytest.fixture(scope="module")
def runner(half: torch.dtype, backbone_folder: Path, data: TaskData) -> TrialRunner:
    source = replace(find_backbone(str(backbone_folder)), dtype=str(half).removeprefix("torch."))
    return TrialRunner(RunnerSettings(source, data.task, data.train, data.validation, threads=1))


def test_a_trial_learns_in_float32_over_16_bit_weights(runner: TrialRunner, half: torch.dtype) -> None:
    model = runner._loaded.model
    before = {name: (tensor, tensor.clone()) for name, tensor in model.named_parameters()}
    assert {tensor.dtype for tensor, _ in before.values() if tensor.dim() > 1} == {half}
    assert {tensor.dtype for tensor, _ in before.values() if tensor.dim() == 1} == {torch.float32}
    assignment = Assignment(0, COMPOSITE, BUDGET, 0, (0.4, 1.0))
    whole = runner.run(assignment)
    assert whole.measurement is not None, whole.traceback
    first, last = whole.measurement.curve
    assert last.train_loss < first.train_loss
    assert {tensor.dtype for name, tensor in read_tensors(whole.adapter["adapter.safetensors"]).items()} == {torch.float32}
    after = dict(model.named_parameters())
    assert all(after[name] is tensor and torch.equal(tensor, values) for name, (tensor, values) in before.items())
    expected = ("bfloat16", "bf16") if half == torch.bfloat16 else ("float16", "fp16")
    assert (runner.describe().dtype, runner.describe().precision) == expected

    paused = runner.run(replace(assignment, measure_at=(0.4,)))
    later = runner.run(replace(assignment, measure_at=(1.0,), checkpoint=paused.checkpoint))
    assert later.measurement is not None, later.traceback
    assert later.measurement.curve == whole.measurement.curve


@pytest.mark.filterwarnings("ignore:Sparse invariant checks are implicitly disabled:UserWarning")
@pytest.mark.parametrize("method", all_methods(), ids=lambda method: method.name)
def test_every_method_trains_over_bfloat16(method: Method) -> None:
    family = FAMILIES["llama"]
    model, batch = family.build().to(torch.bfloat16), family.batch()
    hold_in_float32(model, vectors_only=True)
    with products(CPU, torch.bfloat16):
        topology = discover(model, batch)
        configuration = Configuration((module_of(method, topology, {}),))
        try:
            resolve(configuration, topology)
        except UnsupportedError as error:
            pytest.skip(str(error))
        plain = logits_of(model, batch)
        applied = apply(model, configuration, topology=topology)
        trained = applied.trainable_parameters()
        assert {parameter.dtype for parameter in trained.values()} == {torch.float32}
        model(**batch).logits.float().square().mean().backward()
        assert any(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in trained.values())
        applied.eject()
        assert torch.equal(logits_of(model, batch), plain)


def test_auto_is_float32_without_a_gpu_that_has_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    assert weights_dtype("auto", "cpu") == torch.float32
    assert weights_dtype("float16", "cuda") == torch.float16
    for has, dtype in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr("autopeft.training.precision.has_bfloat16", lambda _, has=has: has)
        assert weights_dtype("auto", "cuda:0") == dtype


def test_retraining_and_exports_rest_on_the_numbers_that_were_trained_over(small_request: SearchRequest, tmp_path: Path) -> None:
    run = search(replace(small_request, trials=1, dtype="bfloat16", out=str(tmp_path / "run")), SilentSearch())
    settings = run.settings()
    assert (settings["dtype"], settings["precision"]) == ("bfloat16", "bf16")
    assert (settings["model"]["dtype"], settings["model"]["attention"], settings["attention"]) == ("bfloat16", "sdpa", "sdpa")
    assert RetrainRequest().search_request(run).dtype == "bfloat16"
    trained = load_trained(read_trial(run, 0))
    words = trained.model.get_submodule("bert.embeddings.word_embeddings").weight
    assert words.dtype == torch.float32
    assert torch.equal(words, words.bfloat16().float())


def test_a_run_of_an_earlier_version_stays_in_float32(small_run: RunDirectory) -> None:
    settings = small_run.settings()
    for name in ("dtype", "attention"):
        del settings["model"][name]
    small_run.write_settings(settings)
    assert RetrainRequest().search_request(small_run).dtype == "float32"
