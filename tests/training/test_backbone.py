import hashlib
import json
import shutil
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from autopeft import hub
from autopeft.budget import Budget
from autopeft.errors import InvalidInputError, UnavailableError
from autopeft.methods.head import head_parameter_names
from autopeft.tasks import Task, TaskData, family_of
from autopeft.training import backbone
from autopeft.training.backbone import DEFAULT_MODEL, find_backbone
from autopeft.training.initialisation import reset_parameters
from autopeft.training.model import load_model, start_head
from tests.tasks.small import model_of


def test_a_folder_wins_and_is_fingerprinted(backbone_folder: Path) -> None:
    source = find_backbone(str(backbone_folder))
    assert source.path == str(backbone_folder.resolve())
    assert source.sha256 == hashlib.sha256((backbone_folder / "model.safetensors").read_bytes()).hexdigest()


@pytest.mark.parametrize("keep", [["config.json"], ["model.safetensors"], []], ids=["no weights", "no config", "nothing"])
def test_folders_that_hold_no_model(backbone_folder: Path, tmp_path: Path, keep: list[str]) -> None:
    for name in keep:
        shutil.copy(backbone_folder / name, tmp_path)
    with pytest.raises(InvalidInputError, match=r"a model folder must hold (model\.safetensors|config\.json)"):
        find_backbone(str(tmp_path))


def test_pickled_weights_are_refused(backbone_folder: Path, tmp_path: Path) -> None:
    shutil.copy(backbone_folder / "config.json", tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(InvalidInputError, match="can run code when loaded"):
        find_backbone(str(tmp_path))


def test_missing_folder_is_reported_at_once() -> None:
    with pytest.raises(InvalidInputError, match=r"config\.json"):
        find_backbone("./no/such/folder")


def test_the_demo_package_is_the_default_and_is_checked(monkeypatch: pytest.MonkeyPatch, backbone_folder: Path) -> None:
    pytest.importorskip(backbone.DEMO_PACKAGE)
    assert find_backbone().sha256 == backbone.DEFAULT_MODEL_SHA256
    monkeypatch.setattr(backbone.importlib, "import_module", lambda name: SimpleNamespace(MODEL_DIR=backbone_folder))
    with pytest.raises(UnavailableError, match="differ from all-MiniLM-L6-v2"):
        find_backbone(DEFAULT_MODEL)


@pytest.mark.parametrize("answers", [False, True], ids=["no server", "a server that never answers"])
def test_an_unreachable_hub_is_reported_within_seconds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answers: bool) -> None:
    from huggingface_hub import constants

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if answers:
            server.listen()
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setattr("huggingface_hub.hf_api.constants.ENDPOINT", constants.ENDPOINT)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        if answers:
            assert hub.DEADLINE_SECONDS < 5
            monkeypatch.setattr(hub, "DEADLINE_SECONDS", 0.2)  # long before the request itself gives up
        with pytest.raises(UnavailableError, match="hf download some/model") as raised:
            find_backbone("some/model")
        assert ("no answer within 0.2 seconds" in str(raised.value)) == answers


def test_offline_never_asks() -> None:
    with pytest.raises(UnavailableError, match="switched off"):
        find_backbone("some/model", offline=True)


def test_broken_weights_are_one_clear_error(backbone_folder: Path, tmp_path: Path, data: TaskData) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(backbone_folder, folder)
    (folder / "model.safetensors").write_bytes(b"\x00" * 100)
    with pytest.raises(UnavailableError, match="the model can't be loaded"):
        load_model(find_backbone(str(folder)), family_of(data.task))


def test_fresh_parameters_are_pooler_and_head_and_are_redrawn_by_seed(backbone_folder: Path, data: TaskData) -> None:
    import torch

    loaded = load_model(find_backbone(str(backbone_folder)), family_of(data.task))
    assert loaded.fresh == ("bert.pooler.dense.bias", "bert.pooler.dense.weight", "classifier.bias", "classifier.weight")
    draws = []
    for seed in (1, 1, 2):
        reset_parameters(loaded.model, loaded.fresh, seed)
        draws.append(loaded.model.get_parameter("classifier.weight").clone())
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_a_regression_head_starts_at_the_mean_of_its_targets(backbone_folder: Path, data: TaskData) -> None:
    import numpy as np

    from autopeft.tasks import Split, get_task

    task = get_task("stsb")
    loaded = load_model(find_backbone(str(backbone_folder)), family_of(task))
    numbers = Split((["a", "b", "c"], ["d", "e", "f"]), np.array([1.0, 4.0, 4.0]))
    start_head(loaded.model, loaded.fresh, 0, family_of(task).encode(loaded.processor, numbers, 16))
    assert loaded.model.get_parameter("classifier.bias").item() == 3.0  # of a task that no training examples have scaled yet
    classifier = load_model(find_backbone(str(backbone_folder)), family_of(data.task))
    start_head(classifier.model, classifier.fresh, 0, family_of(data.task).encode(classifier.processor, data.train, 16))
    assert classifier.model.get_parameter("classifier.bias").tolist() == [0.0, 0.0]


def with_a_head_for(n_labels: int, backbone_folder: Path, folder: Path) -> Path:
    from transformers import BertForSequenceClassification

    shutil.copytree(backbone_folder, folder)
    BertForSequenceClassification.from_pretrained(backbone_folder, num_labels=n_labels).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("n_labels", [1, 2, 3])
def test_a_checkpoint_with_a_head_of_any_size_gets_a_fresh_one(
    backbone_folder: Path, tmp_path: Path, data: TaskData, n_labels: int
) -> None:
    loaded = load_model(find_backbone(str(with_a_head_for(n_labels, backbone_folder, tmp_path / "saved"))), family_of(data.task))
    assert loaded.model.get_parameter("classifier.weight").shape == (2, 32)
    assert {"classifier.weight", "classifier.bias"} <= set(head_parameter_names(loaded.model))


def test_a_body_of_other_sizes_is_refused(backbone_folder: Path, tmp_path: Path, data: TaskData) -> None:
    shutil.copytree(backbone_folder, folder := tmp_path / "damaged")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 40}))
    with pytest.raises(UnavailableError, match=r"other shapes than config\.json says, bert\.encoder"):
        load_model(find_backbone(str(folder)), family_of(data.task))


@pytest.mark.parametrize("kept", ["", "bert.embeddings"], ids=["another model's", "a part"])
def test_layers_that_the_weights_lack_are_refused(backbone_folder: Path, tmp_path: Path, data: TaskData, kept: str) -> None:
    shutil.copytree(backbone_folder, folder := tmp_path / "lacking")
    weights = load_file(folder / "model.safetensors")
    found = {name: tensor for name, tensor in weights.items() if kept and name.startswith(kept.removeprefix("bert."))}
    save_file(found or {"other": torch.zeros(3)}, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UnavailableError, match=r"weights lack \d+ tensors of its layers, bert\.encoder\.layer\.0"):
        load_model(find_backbone(str(folder)), family_of(data.task))


def test_where_a_kind_of_task_has_other_names_for_the_backbone_the_remedy_helps(backbone_folder: Path, tmp_path: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    family = family_of(Task("t", "question_answering", ("question", "context"), "answer", (), "f1", ("f1",), Budget()))
    model_of("causal_lm").save_pretrained(tmp_path / "whole")
    AutoTokenizer.from_pretrained(backbone_folder).save_pretrained(tmp_path / "whole")
    with pytest.raises(UnavailableError, match=r"weights lack .*AutoModel\.from_pretrained\(FOLDER\)\.save_pretrained"):
        load_model(find_backbone(str(tmp_path / "whole")), family)
    AutoModel.from_pretrained(tmp_path / "whole").save_pretrained(tmp_path / "backbone")
    AutoTokenizer.from_pretrained(backbone_folder).save_pretrained(tmp_path / "backbone")
    assert load_model(find_backbone(str(tmp_path / "backbone")), family).fresh == ("qa_outputs.bias", "qa_outputs.weight")


@pytest.mark.parametrize(("config", "expected"), [({"pad_token_id": 7}, 7), ({"pad_token_id": None, "eos_token_id": [9, 8]}, 9)])
def test_a_tokenizer_without_padding_takes_the_model_s(
    backbone_folder: Path, tmp_path: Path, data: TaskData, config: dict[str, Any], expected: int
) -> None:
    loaded = load_model(find_backbone(str(without_special_tokens(backbone_folder, tmp_path, config))), family_of(data.task))
    assert loaded.processor.pad_token_id == loaded.model.config.pad_token_id == expected


def test_a_tokenizer_with_nothing_to_pad_with_is_refused(backbone_folder: Path, tmp_path: Path, data: TaskData) -> None:
    folder = without_special_tokens(backbone_folder, tmp_path, {"pad_token_id": None, "eos_token_id": None})
    with pytest.raises(UnavailableError, match="must have a padding, an end or an unknown token"):
        load_model(find_backbone(str(folder)), family_of(data.task))


def test_a_folder_without_its_tokenizer_is_refused(backbone_folder: Path, tmp_path: Path, data: TaskData) -> None:
    for name in ("config.json", "model.safetensors"):
        shutil.copy(backbone_folder / name, tmp_path)
    with pytest.raises(UnavailableError, match="tokenizer knows no words: its files are missing"):
        load_model(find_backbone(str(tmp_path)), family_of(data.task))


def without_special_tokens(backbone_folder: Path, tmp_path: Path, config: dict[str, Any]) -> Path:
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    shutil.copytree(backbone_folder, folder := tmp_path / "bare")
    tokenizer = AutoTokenizer.from_pretrained(backbone_folder)
    for path in folder.glob("*token*"):
        path.unlink()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer).save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(json.loads((folder / "config.json").read_text()) | config))
    return folder


def sharded(backbone_folder: Path, folder: Path) -> Path:
    """The backbone with its weights in several files."""
    from transformers import BertModel

    shutil.copytree(backbone_folder, folder)
    (folder / "model.safetensors").unlink()
    BertModel.from_pretrained(backbone_folder).save_pretrained(folder, max_shard_size="20kB")
    return folder


def test_other_weights_of_the_same_shapes_have_another_fingerprint(backbone_folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = sharded(backbone_folder, tmp_path / "model")
    shards = sorted(folder.glob("model-*.safetensors"))
    assert len(shards) > 1
    before = find_backbone(str(folder)).sha256
    assert find_backbone(str(folder)).sha256 == before
    tensors = load_file(shards[-1])
    save_file({name: tensor + 1 for name, tensor in tensors.items()}, shards[-1], metadata={"format": "pt"})
    assert find_backbone(str(folder)).sha256 != before


def test_a_shard_that_is_missing_is_named(backbone_folder: Path, tmp_path: Path) -> None:
    folder = sharded(backbone_folder, tmp_path / "model")
    (missing := sorted(folder.glob("model-*.safetensors"))[0]).unlink()
    with pytest.raises(InvalidInputError, match=f"names files that are not there.*{missing.name}"):
        find_backbone(str(folder))


@pytest.mark.parametrize("index", ["{", "[]", '{"weight_map": {"a": "../model.safetensors"}}'], ids=["no JSON", "a list", "outside"])
def test_a_damaged_list_of_shards_is_one_clear_error(backbone_folder: Path, tmp_path: Path, index: str) -> None:
    folder = sharded(backbone_folder, tmp_path / "model")
    (folder / "model.safetensors.index.json").write_text(index)
    with pytest.raises(InvalidInputError, match="the list of the model's weight files can't be read"):
        find_backbone(str(folder))
