"""Data and models that Python code hands over in memory: the run holds them, and everything reads them from there."""

import asyncio
import csv
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import autopeft
from autopeft.errors import AutopeftError, InvalidInputError
from autopeft.study.directory import RunDirectory


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def settings() -> dict[str, Any]:
    return {"text": ("a", "b"), "label": "label", "trials": 1, "workers": 0, "epochs": 1, "batch_size": 16, "max_length": 24}


def test_a_run_of_what_was_in_memory_moves_and_goes_on(
    backbone_folder: Path, pairs: tuple[Path, Path], settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoModel, AutoTokenizer

    monkeypatch.chdir(tmp_path)
    train, validation = pd.read_csv(pairs[0]), rows_of(pairs[1])
    model, tokenizer = AutoModel.from_pretrained(backbone_folder), AutoTokenizer.from_pretrained(backbone_folder)

    async def in_a_notebook() -> autopeft.SearchResult:  # where an event loop is running
        return autopeft.search(train=train, validation=validation, model=model, tokenizer=tokenizer, progress=False, **settings)

    result = asyncio.run(in_a_notebook())
    assert result.path == Path("runs/train")
    of_files = autopeft.search(train=pairs[0], validation=pairs[1], model=backbone_folder, out="runs/files", progress=False, **settings)
    assert [one.metrics for one in result.trials] == [one.metrics for one in of_files.trials]
    shutil.move("runs/train", "moved")
    moved = autopeft.resume("moved", trials=2, progress=False)
    assert [one.state for one in moved.trials] == ["complete", "complete"]
    asked = RunDirectory.open(Path("moved")).asked()
    assert asked["train"]["value"] == str(tmp_path / "moved" / "in_memory" / "train.jsonl")
    assert asked["model"]["value"] == str(tmp_path / "moved" / "in_memory" / "model")
    shutil.move("moved", "again")
    again = autopeft.SearchResult("again")
    assert again.retrain([0], seeds=1, epochs=1, progress=False).entries
    assert again.predictor(0).predict(rows_of(pairs[1])[:1])
    assert (again.export(0, to="merged") / "config.json").is_file()


def test_what_is_wrong_leaves_no_folder(
    backbone_folder: Path, pairs: tuple[Path, Path], settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    train: list[dict[str, Any]] = list(rows_of(pairs[0]))
    train[2]["a"] = None
    for wrong, message in (
        ({"train": train}, r"^train, row 3: the text column 'a' must hold text \(got None\)"),
        ({"train": train[:2], "label": "lable"}, r"^train has no column \(got 'lable'\)"),
        ({"train": pairs[0], "validation": pd.DataFrame()}, "^validation must hold an example"),
        ({"train": train[3:], "model": object()}, "model must be a name or a model"),
        ({"train": train[3:], "model": object(), "tokenizer": object()}, "model must be a name or a model"),
        ({"train": train[3:], "tokenizer": object()}, "a tokenizer is for a model in memory"),
        ({"train": train[3:], "model": tmp_path / "none"}, "config.json"),
        ({"train": train[3:], "max_params": 1}, "no configuration of the space"),
    ):
        with pytest.raises(AutopeftError, match=message):
            autopeft.search(**{"model": backbone_folder, "progress": False, **settings, **wrong})
        assert not list(Path("runs").glob("*"))


class Parts:
    """What is no whole model, and a tokenizer that is none."""

    def save_pretrained(self, save_directory: Path) -> None:
        save_directory.mkdir(exist_ok=True)
        (save_directory / "adapter_config.json").write_text("{}")


def test_a_model_that_saves_a_part_is_refused(pairs: tuple[Path, Path], settings: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="must be a whole model"):
        autopeft.search(train=pairs[0], model=Parts(), tokenizer=Parts(), out=tmp_path / "run", progress=False, **settings)
    assert not (tmp_path / "run").exists()
    with pytest.raises(InvalidInputError, match="must come with its tokenizer"):
        autopeft.search(train=pairs[0], model=Parts(), out=tmp_path / "run", **settings)
