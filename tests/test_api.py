import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import autopeft
from autopeft.errors import InvalidInputError, UnknownNameError
from autopeft.request import SearchRequest
from autopeft.study.directory import RunDirectory


def test_every_public_name_resolves() -> None:
    for name in autopeft.__all__:
        assert getattr(autopeft, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'serach'"):
        autopeft.serach  # noqa: B018


def test_importing_the_package_is_cheap() -> None:
    code = "import sys, autopeft; assert not {'torch', 'optuna', 'transformers', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_one_string_where_several_may_stand_means_that_one(tmp_path: Path) -> None:
    plugin = str(tmp_path / "p.py")
    given: dict[str, Any] = {"text": "text", "objectives": "accuracy", "start": "lora", "plugins": plugin, "warm_start": tmp_path}
    one = SearchRequest(train="t.csv", label="label", **given)
    assert (one.text, one.objectives, one.start) == (("text",), ("accuracy",), ("lora",))
    assert (one.plugins, one.warm_start) == ((plugin,), (str(tmp_path),))


def test_the_path_of_a_result_may_be_a_string(tmp_path: Path) -> None:
    RunDirectory.create(tmp_path / "run").write_settings({})
    result = autopeft.SearchResult(str(tmp_path / "run"))
    assert result == autopeft.SearchResult(tmp_path / "run")
    assert result.path == tmp_path / "run"
    with pytest.raises(InvalidInputError, match=r"no study\.db yet"):
        _ = result.trials


def test_an_unknown_setting_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown setting .*'trails'.* Did you mean 'trials'"):
        autopeft.search(task="demo", trails=3)
    RunDirectory.create(tmp_path / "run").write_settings({})
    result = autopeft.SearchResult(tmp_path / "run")
    with pytest.raises(UnknownNameError, match="Did you mean 'seeds'"):
        result.baselines(seed=3)
    with pytest.raises(UnknownNameError, match="Did you mean 'seeds'"):
        result.retrain(seed=3)


def test_search_from_python(backbone_folder: Path, pairs: tuple[Path, Path], tmp_path: Path) -> None:
    result = autopeft.search(
        train=str(pairs[0]), validation=str(pairs[1]), text=("a", "b"), label="label", model=str(backbone_folder),
        trials=3, workers=0, epochs=1, batch_size=16, max_length=24, out=str(tmp_path / "run"),
    )  # fmt: skip
    assert len(result.trials) == 3
    assert result.best() in result.front
    assert result.knee() in result.front
    assert result.best().metrics["accuracy"] == max(record.metrics["accuracy"] for record in result.trials)
    assert result.expected == {}  # of three trials nothing is expected
    assert {path.name for path in result.plot(tmp_path / "plots", ["svg"])} == {"pareto.svg", "leaderboard.csv", "front.json"}
    assert [path.name for path in result.report(formats=["md", "json"])] == ["report.md", "report.json"]
    more = autopeft.resume(result.path, trials=4)
    assert len(more.trials) == 4
    assert more.trials[:3] == result.trials[:3]
    folder = result.export(result.best().number, "script", tmp_path / "exported")
    assert (folder / "train.py").is_file()
    with pytest.raises(InvalidInputError, match="trial"):
        result.export(99, "script", tmp_path / "other")


def test_retrain_and_compare_from_python(backbone_folder: Path, pairs: tuple[Path, Path], tmp_path: Path) -> None:
    result = autopeft.search(
        train=str(pairs[0]), validation=str(pairs[1]), text=("a", "b"), label="label", model=str(backbone_folder),
        trials=2, workers=0, epochs=1, batch_size=16, max_length=24, out=str(tmp_path / "run"),
    )  # fmt: skip
    table = result.retrain(pick="best", seeds=2, epochs=1)
    (row,) = table.rows()
    assert row["name"] == f"trial {result.best().number}"
    assert set(row["test"]) == set(row["validation"]) >= {"accuracy", "loss"}
    assert json.loads((tmp_path / "run" / "retrained" / "retrained.json").read_text())["configurations"][0]["seeds"] == [0, 1]
    compared = result.baselines(trials_per_method=1, seeds=1)
    assert {one.baseline for one in compared.comparisons} > {"LoRA", "full fine-tuning", "head only"}
    assert {one.chosen for one in compared.comparisons} == {row["name"]}
    assert len(compared.rows()) == 7
