import builtins
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autopeft.api import SearchResult, SilentSearch
from autopeft.errors import InvalidInputError, UnavailableError
from autopeft.loops.retrain import RetrainRequest
from autopeft.loops.search import search
from autopeft.request import SearchRequest
from autopeft.tasks import TaskData, family_of
from autopeft.training import backbone
from autopeft.training.backbone import find_backbone
from autopeft.training.model import load_model
from autopeft.training.remote_code import code_references

CODE = """
from pathlib import Path
from transformers import BertConfig, BertForSequenceClassification

(Path({marker!r})).touch()

class OwnConfig(BertConfig):
    model_type = "own-model"

class OwnForSequenceClassification(BertForSequenceClassification):
    config_class = OwnConfig
"""
AUTO_MAP = {"AutoConfig": "modeling_own.OwnConfig", "AutoModelForSequenceClassification": "modeling_own.OwnForSequenceClassification"}


@pytest.fixture
def own_model(backbone_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model whose code lies beside its weights; running it makes a file `ran` in the folder's parent. Nothing may be asked."""

    def asked(*args: object) -> str:
        raise AssertionError(f"a question was asked: {args}")

    monkeypatch.setattr(builtins, "input", asked)
    shutil.copytree(backbone_folder, folder := tmp_path / "own")
    change(folder / "config.json", model_type="own-model", auto_map=AUTO_MAP)
    (folder / "modeling_own.py").write_text(CODE.format(marker=str(tmp_path / "ran")))
    return folder


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_model_s_code_is_neither_run_nor_asked_about(own_model: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"own/config\.json names modeling_own\.py as auto_map.*--trust-remote-code"):
        find_backbone(str(own_model))
    assert not (own_model.parent / "ran").exists()


def test_a_tokenizer_s_code_is_refused_by_its_file(backbone_folder: Path, own_model: Path) -> None:
    shutil.copy(backbone_folder / "config.json", own_model)
    change(own_model / "tokenizer_config.json", auto_map={"AutoTokenizer": ["someone/tokenizers--tokenization_own.Slow", None]})
    with pytest.raises(InvalidInputError, match=r"tokenizer_config\.json names someone/tokenizers/tokenization_own\.py"):
        find_backbone(str(own_model))


def test_what_transformers_has_built_in_is_not_put_in_place_of_a_model_s_code(own_model: Path, data: TaskData) -> None:
    change(own_model / "config.json", model_type="bert")  # as some models on the hub say whose classes compute something else
    with pytest.raises(InvalidInputError, match="remove auto_map"):
        find_backbone(str(own_model))


def test_trusted_code_builds_the_model(own_model: Path, data: TaskData) -> None:
    source = find_backbone(str(own_model), trust_remote_code=True)
    assert type(load_model(source, family_of(data.task)).model).__name__ == "OwnForSequenceClassification"
    assert (own_model.parent / "ran").exists()


def test_trusted_code_is_part_of_the_fingerprint(own_model: Path, backbone_folder: Path) -> None:
    before = find_backbone(str(own_model), trust_remote_code=True).sha256
    with (own_model / "modeling_own.py").open("a") as file:
        file.write("# another model\n")
    assert find_backbone(str(own_model), trust_remote_code=True).sha256 != before
    plain = find_backbone(str(backbone_folder))
    assert find_backbone(str(backbone_folder), trust_remote_code=True).sha256 == plain.sha256  # it brings none


@pytest.mark.parametrize("error", ["IndexError('far off')", "ImportError('no such package')", "KeyError('head')"])
def test_whatever_loading_raises_is_one_error(own_model: Path, data: TaskData, error: str) -> None:
    with (own_model / "modeling_own.py").open("a") as file:
        file.write(f"raise {error}\n")
    with pytest.raises(UnavailableError, match=r"the model can't be loaded: .*(far off|no such package|head)"):
        load_model(find_backbone(str(own_model), trust_remote_code=True), family_of(data.task))


def test_code_on_the_hub_is_refused_before_weights_are_downloaded(own_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    downloaded: list[list[str]] = []

    def snapshot_download(name: str, *, allow_patterns: list[str], local_files_only: bool = False) -> str:
        if local_files_only:
            raise LocalEntryNotFoundError("not cached")
        downloaded.append(allow_patterns)
        return str(own_model)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    monkeypatch.setattr(backbone, "is_switched_off", lambda: False)
    monkeypatch.setattr(backbone, "why_unreachable", lambda *_: "")
    with pytest.raises(InvalidInputError, match="someone/own brings Python code along"):
        find_backbone("someone/own")
    assert not any(pattern.endswith("safetensors") for patterns in downloaded for pattern in patterns)
    assert find_backbone("someone/own", trust_remote_code=True).trust_remote_code
    assert "*.py" in downloaded[-1]


def test_a_search_records_what_was_trusted_and_exports_keep_it(own_model: Path, small_request: SearchRequest, tmp_path: Path) -> None:
    request = replace(
        small_request, model=str(own_model), trust_remote_code=True, trials=1, start=("lora",), space="lora", out=str(tmp_path / "run")
    )
    run = search(request, SilentSearch())
    assert run.asked()["trust_remote_code"]["value"] is True
    assert run.settings()["model"]["trust_remote_code"] is True
    merged = SearchResult(run.path).export(0, to="merged")
    assert {reference.file for reference in code_references(merged)} == {"modeling_own.py"}
    assert (merged / "modeling_own.py").is_file()
    assert 'from_pretrained(".", trust_remote_code=True)' in (merged / "README.md").read_text()
    assert json.loads((SearchResult(run.path).export(0, to="script") / "settings.json").read_text())["model"]["trust_remote_code"] is True


def test_trust_in_one_model_is_not_trust_in_another(small_run: Any) -> None:
    settings = small_run.settings()
    settings["settings"]["trust_remote_code"] = {"value": True, "source": "flag"}
    small_run.write_settings(settings)
    assert RetrainRequest().search_request(small_run).trust_remote_code
    assert not RetrainRequest(model="other/model").search_request(small_run).trust_remote_code
    assert RetrainRequest(model="other/model", trust_remote_code=True).search_request(small_run).trust_remote_code
