"""Runs whose paths were given relative to a folder, gone on with from another; and runs that were moved themselves."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from autopeft.api import SearchResult, Silent, SilentSearch
from autopeft.errors import InvalidInputError
from autopeft.loops import search as engine
from autopeft.loops.baselines import tune
from autopeft.loops.retrain import RetrainRequest, of_trials, retrain
from autopeft.request import SearchRequest
from autopeft.study.directory import RunDirectory
from autopeft.study.reader import StudyReader
from autopeft.training import backbone as backbones


@pytest.fixture
def moved(small_request: SearchRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
    """A search that was asked for with relative paths in one folder, then moved and opened in another."""
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir()
    elsewhere.mkdir()
    assert small_request.model is not None
    shutil.copytree(small_request.model, home / "model")
    for role in ("train", "validation", "test"):
        shutil.copy(getattr(small_request, role), home / f"{role}.csv")
    (home / "own.yaml").write_text("modules:\n  - {method: lora, size: [0, 2]}\ntraining: {learning_rate: 0.001}\n")
    (home / "own.py").write_text("")
    monkeypatch.chdir(home)
    request = replace(
        small_request, train="train.csv", validation="validation.csv", test="test.csv", model="model", space="own.yaml",
        plugins=("own.py",), trials=1, out="runs/a",
    )  # fmt: skip
    engine.search(request, SilentSearch())
    monkeypatch.chdir(elsewhere)
    shutil.move(home / "runs" / "a", elsewhere / "b")
    return RunDirectory.open(Path("b"))


def test_a_moved_run_is_resumed_retrained_and_exported(moved: RunDirectory) -> None:
    engine.resume(moved.path, SilentSearch(), {"trials": 2})
    study = StudyReader.open(moved)
    assert [record.state for record in study.records()] == ["complete"] * 2
    assert moved.asked()["out"]["value"] == str(moved.path.resolve())
    assert retrain(moved, of_trials(study.records()[:1]), RetrainRequest(seeds=1, epochs=1), Silent()).read()[0].results
    result = SearchResult(moved.path)
    assert (result.export(0, to="merged") / "config.json").is_file()
    assert result.report(formats=("md",))
    assert tune(moved, lambda _: SilentSearch(), methods=["head_only"], trials=1).candidates


def test_a_resumed_run_keeps_to_its_weights(moved: RunDirectory) -> None:
    weights = Path(str(moved.asked()["model"]["value"])) / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(InvalidInputError, match="not those of the search any more"):
        engine.resume(moved.path, SilentSearch(), {"trials": 2})


def test_an_export_finds_a_backbone_whose_cache_has_moved(moved: RunDirectory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = moved.settings()
    now = settings["model"]["path"]
    moved.write_settings(settings | {"model": settings["model"] | {"name": "org/name", "path": str(tmp_path / "old cache")}})
    monkeypatch.setattr(backbones, "_from_hub", lambda *_: Path(now))
    assert (SearchResult(moved.path).export(0, to="merged") / "config.json").is_file()
