"""Loading quantised backbones, and training on them."""

import importlib.util
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import AutoModel, AutoModelForSequenceClassification, BitsAndBytesConfig

from autopeft.budget import Budget
from autopeft.configuration import Configuration, PeftModule
from autopeft.errors import InvalidInputError, UnavailableError
from autopeft.methods.discovery import discover
from autopeft.tasks import TaskData, family_of
from autopeft.training.backbone import find_backbone
from autopeft.training.measurement import Assignment, RunnerSettings
from autopeft.training.model import LoadedModel, example_inputs, load_model
from autopeft.training.runner import TrialRunner
from autopeft.training.skeletons import skeleton

pytest.importorskip("bitsandbytes")

SCHEMES = [
    "nf4",
    "int8",
    pytest.param("torchao-int8", marks=pytest.mark.skipif(importlib.util.find_spec("torchao") is None, reason="needs torchao")),
]
BUDGET = Budget(train_examples=48, epochs=1, evaluation_examples=16, batch_size=16, max_length=24)
UPPER_LORA = Configuration((PeftModule("lora", 4, (2,), ("query", "value")),), {"learning_rate": 0.01})


def loaded(folder: Path, data: TaskData, scheme: str) -> LoadedModel:
    return load_model(find_backbone(str(folder), quantize=scheme), family_of(data.task))


def quantised_modules(model: nn.Module) -> set[str]:
    return {name for name, module in model.named_modules() if type(module).__name__ in ("Linear4bit", "Linear8bitLt")}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_linears_of_the_blocks_are_quantised_and_nothing_else(backbone_folder: Path, data: TaskData, scheme: str) -> None:
    found, family = loaded(backbone_folder, data, scheme), family_of(data.task)
    topology = discover(found.model, example_inputs(found, family), extra_trainable=found.fresh)
    quantised = {tensor.name for tensor in topology.tensors if tensor.quantisation}
    assert quantised == {f"{linear.name}.weight" for block in topology.blocks for linear in block.linears}
    assert set(found.fresh) == {f"{name}.{leaf}" for name in ("bert.pooler.dense", "classifier") for leaf in ("weight", "bias")}
    plain = loaded(backbone_folder, data, "none")
    assert topology.size == discover(plain.model, example_inputs(plain, family), extra_trainable=plain.fresh).size
    assert {parameter.dtype for name, parameter in found.model.named_parameters() if name not in quantised} == {torch.float32}


def test_four_bits_are_quantised_doubly_and_compute_in_32_bits_on_a_processor(backbone_folder: Path, data: TaskData) -> None:
    linear = loaded(backbone_folder, data, "nf4").model.get_submodule("bert.encoder.layer.1.output.dense")
    assert (linear.weight.quant_type, linear.weight.quant_state.nested, linear.compute_dtype) == ("nf4", True, torch.float32)


def test_a_checkpoints_own_quantisation_stays(backbone_folder: Path, data: TaskData, tmp_path: Path) -> None:
    config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="fp4", llm_int8_skip_modules=["classifier", "bert.pooler.dense"])
    model = AutoModelForSequenceClassification.from_pretrained(
        backbone_folder, quantization_config=config, device_map="cpu", dtype=torch.float32
    )
    model.save_pretrained(tmp_path)
    for path in backbone_folder.glob("token*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    found, family = loaded(tmp_path, data, "none"), family_of(data.task)
    assert quantised_modules(found.model) == quantised_modules(model)
    kept = found.model.get_submodule("bert.encoder.layer.0.attention.self.key").weight
    assert torch.equal(kept, model.get_submodule("bert.encoder.layer.0.attention.self.key").weight)
    assert discover(found.model, example_inputs(found, family), extra_trainable=found.fresh).quantisation == "fp4"
    with pytest.raises(InvalidInputError, match=r"quantised already, by bitsandbytes \(got 'nf4'\)\. Leave --quantize out"):
        loaded(tmp_path, data, "nf4")


def test_what_quantises_must_be_installed(backbone_folder: Path, data: TaskData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UnavailableError, match=r"--quantize nf4 needs the package bitsandbytes.*autopeft\[quantize\]"):
        load_model(replace(find_backbone(str(backbone_folder)), quantize="nf4"), family_of(data.task))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_several_models_share_quantised_weights(backbone_folder: Path, data: TaskData, scheme: str) -> None:
    model = loaded(backbone_folder, data, scheme).model.requires_grad_(False).eval()
    others = [skeleton(model) for _ in range(2)]
    ids = torch.tensor([[2, 4, 5, 9, 3]])
    wanted, *found = [one(input_ids=ids).logits for one in (model, *others)]
    assert all(torch.equal(logits, wanted) for logits in found)
    weights = [one.get_submodule("bert.encoder.layer.0.output.dense").weight for one in (model, *others)]
    assert all(weight is weights[0] for weight in weights)


def trained(folder: Path, data: TaskData, scheme: str) -> str:
    """Train for a moment, and return why hidden states were not reused."""
    backbone = find_backbone(str(folder), quantize=scheme)
    runner = TrialRunner(RunnerSettings(backbone, data.task, data.train, data.validation, threads=1))
    outcome = runner.run(Assignment(0, UPPER_LORA, BUDGET, seed=0))
    assert outcome.measurement is not None, outcome.traceback
    return outcome.measurement.not_reused


@pytest.mark.parametrize("scheme", SCHEMES)
def test_trains_and_reuses_hidden_states(backbone_folder: Path, data: TaskData, scheme: str) -> None:
    assert trained(backbone_folder, data, scheme) == ""


def test_hidden_states_are_not_reused_where_they_depend_on_the_batch(backbone_folder: Path, data: TaskData, tmp_path: Path) -> None:
    large = tmp_path / "large"
    shutil.copytree(backbone_folder, large)
    model = AutoModel.from_pretrained(large)
    with torch.no_grad():  # inputs above 6 in one example keep LLM.int8() from rounding that channel of all
        model.embeddings.LayerNorm.weight.mul_(torch.linspace(1, 6, 32))
        for matrix in (parameter for parameter in model.encoder.parameters() if parameter.dim() == 2):
            matrix.mul_(10)
    model.save_pretrained(large)
    assert trained(large, data, "int8") == "hidden states of an example differ from pass to pass"
