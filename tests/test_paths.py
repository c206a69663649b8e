import os
import shlex
from pathlib import Path

import pytest

from autopeft.paths import absolute, absolute_model, command
from autopeft.request import CHANGEABLE, SearchRequest, flag


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def test_paths_are_taken_from_the_root(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    assert absolute("data/train.csv") == str(here / "data" / "train.csv")
    assert absolute("../train.csv") == str(here.parent / "train.csv")
    assert absolute("~/train.csv") == "/home/someone/train.csv"
    assert absolute("/data/train.csv") == "/data/train.csv"


def test_a_link_keeps_its_name(here: Path) -> None:
    """The hub's cache links train.parquet to a file without a suffix."""
    (here / "5d41402abc").touch()
    (here / "train.csv").symlink_to("5d41402abc")
    assert absolute("train.csv") == absolute("../work/train.csv") == str(here / "train.csv")


def test_a_parent_of_a_linked_folder_is_that_of_what_it_leads_to(here: Path) -> None:
    (here / "deep" / "inner").mkdir(parents=True)
    (here / "link").symlink_to("deep/inner")
    assert absolute("link/../train.csv") == str(here / "deep" / "train.csv")


def test_models_are_folders_or_hub_ids(here: Path) -> None:
    (here / "org" / "there").mkdir(parents=True)
    assert absolute_model("org/there") == str(here / "org" / "there")
    assert absolute_model("./gone") == str(here / "gone")
    assert absolute_model("org/name") == "org/name"


def test_a_request_means_the_same_in_another_folder(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "model").mkdir()
    request = SearchRequest(
        train="a.csv", validation="b.csv", test="c.csv", text="t", label="l", model="model", data_dir="data", space="own.yaml",
        plugins=("own.py",), warm_start=("runs/a",),
    )  # fmt: skip
    recorded = request.to_settings({})
    monkeypatch.chdir(here.parent)
    assert SearchRequest.from_settings(recorded) == request
    assert [recorded[name]["value"] for name in ("train", "validation", "test", "model", "data_dir", "space")] == [
        str(here / name) for name in ("a.csv", "b.csv", "c.csv", "model", "data", "own.yaml")
    ]
    assert (request.plugins, request.warm_start) == ((str(here / "own.py"),), (str(here / "runs" / "a"),))
    assert SearchRequest(task="demo", space="lora").space == "lora"


def test_a_command_can_be_pasted_into_a_shell() -> None:
    path = Path("runs/it's $HOME; a run")
    assert shlex.split(command("search", "--resume", path)) == ["autopeft", "search", "--resume", os.fspath(path)]
    assert command("plot", "runs/demo") == "autopeft plot runs/demo"
    assert command("export", Path("-x"), "--trial", 1) == "autopeft export ./-x --trial 1"


def test_what_may_change_on_resume_is_said_where_people_look() -> None:
    guide = (Path(__file__).parents[1] / "docs" / "processes.md").read_text(encoding="utf-8")
    assert ", ".join(f"`{flag(name)}`" for name in CHANGEABLE) in " ".join(guide.split())
