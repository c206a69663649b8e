import base64
import inspect
import json
import pickle
import subprocess
import sys
from dataclasses import fields
from html import unescape
from pathlib import Path
from typing import Any, get_type_hints
from xml.etree import ElementTree

import pytest

import autopeft
from autopeft.errors import InvalidInputError, UnknownNameError
from autopeft.loops.retrain import RetrainRequest
from autopeft.request import CHANGEABLE, SearchRequest
from autopeft.study.directory import RunDirectory


def test_every_public_name_resolves() -> None:
    for name in autopeft.__all__:
        assert getattr(autopeft, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'serach'"):
        autopeft.serach  # noqa: B018


def test_every_public_class_can_be_pickled(tmp_path: Path) -> None:
    from autopeft import samplers
    from autopeft.space import MethodChoice, ModuleSlot, SearchSpace

    RunDirectory.create(tmp_path / "run").write_settings({})
    configuration = autopeft.Configuration((autopeft.PeftModule("lora", 2, (0,)),))
    made = {
        "Callback": autopeft.Callback(),
        "Configuration": configuration,
        "PeftModule": configuration.modules[0],
        "SearchResult": autopeft.SearchResult(tmp_path / "run"),
        "SearchSpace": SearchSpace("one", (ModuleSlot("lora", (MethodChoice("lora", (2,)),), (("query",),)),), (), n_layers=2, rule="all"),
        "BayesianSampler": samplers.BayesianSampler(),
        "SearchProblem": samplers.SearchProblem({}),
    }
    public = [getattr(module, name) for module in (autopeft, samplers) for name in module.__all__]
    assert made.keys() == {one.__name__ for one in public if inspect.isclass(one)}
    for name, one in made.items():
        copy = pickle.loads(pickle.dumps(one))
        assert type(copy) is type(one)
        assert copy == one or name in ("Callback", "BayesianSampler", "SearchProblem")  # which have no equality


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
    assert result._repr_html_() is None
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
    with pytest.raises(UnknownNameError, match="Did you mean 'trials'"):
        autopeft.resume(tmp_path / "run", trails=3)


def test_settings_are_arguments_with_types_and_the_same_defaults() -> None:
    """So that editors complete them; one that is new in a request must be here too."""
    for call, request in ((autopeft.search, SearchRequest), (autopeft.SearchResult.retrain, RetrainRequest)):
        parameters, hints = inspect.signature(call).parameters, get_type_hints(call)
        for entry in fields(request):
            assert parameters[entry.name].default == entry.default
            assert hints[entry.name] is not Any
            assert f"{entry.name}: " in str(call.__doc__)
    known = set(inspect.signature(autopeft.resume).parameters) - {"path", "progress", "callbacks", "unknown"}
    assert known == set(CHANGEABLE)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"trials": "3"}, r"the setting trials must be a whole number \(got '3'\)"),
        ({"trials": 3.0}, "the setting trials must be a whole number"),
        ({"trials": True}, "the setting trials must be a whole number"),
        ({"time_limit": "soon"}, "the setting time_limit must be a number or None"),
        ({"offline": "no"}, "the setting offline must be True or False"),
        ({"objectives": ["accuracy", 3]}, "the setting objectives must be a list, each text"),
        ({"rungs": 0.3}, "the setting rungs must be a list, each a number"),
        ({"rungs": "0.33"}, r"the setting rungs must be a list, each a number \(got '0.33'\)"),
        ({"objectives": "accuracy, loss"}, r"several values of objectives must be a list .* Give \['accuracy', 'loss'\]"),
        ({"start": "lora,mam"}, r"several values of start must be a list .* Give \['lora', 'mam'\]"),
        ({"text": 0}, "the setting text must be a list, each text .got 0.. Give 0 as text: '0'"),
        ({"text": ["a", 1]}, "Give 1 as text: '1'"),
        pytest.param({"model": object()}, r"model must be a name or a model with save_pretrained \(got 'object'\)", id="a model"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_value_of_another_type_is_one_clear_error(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        autopeft.search(task="demo", **settings)


def test_numbers_of_numpy_are_numbers() -> None:
    import numpy as np

    request = SearchRequest(task="demo", trials=np.int64(3), max_failed=np.float64(0.25), time_limit=5)
    assert (request.trials, type(request.trials), request.max_failed) == (3, int, 0.25)
    json.dumps(request.to_settings({}))


def test_a_data_folder_of_the_environment_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setenv("AUTOPEFT_DATA", str(tmp_path))
    monkeypatch.setattr(
        "autopeft.loops.search.search", lambda request, progress, sources, **_: asked.append((request, sources)) or Run(tmp_path)
    )
    autopeft.search(task="mrpc", trials=3)
    ((request, sources),) = asked
    assert request.data_dir == str(tmp_path)
    assert sources == {"task": "argument", "trials": "argument", "data_dir": "environment"}


class Run:
    def __init__(self, path: Path) -> None:
        self.path = path


def test_search_from_python(backbone_folder: Path, pairs: tuple[Path, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    result = autopeft.search(
        train=str(pairs[0]), validation=str(pairs[1]), text=("a", "b"), label="label", model=str(backbone_folder),
        trials=3, workers=0, epochs=1, batch_size=16, max_length=24, out=str(tmp_path / "run"),
    )  # fmt: skip
    assert len(result.trials) == 3
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.count("trial ") >= 3
    assert "budget" in said.err or "trial    " in said.err
    assert result.best() in result.front
    assert result.knee() in result.front
    assert result.best().metrics["accuracy"] == max(record.metrics["accuracy"] for record in result.trials)
    assert result.expected == {}  # of three trials nothing is expected
    assert {path.name for path in result.plot(tmp_path / "plots", ["svg"])} == {"pareto.svg", "leaderboard.csv", "front.json"}
    assert [path.name for path in result.report(formats=["md", "json"])] == ["report.md", "report.json"]
    capfd.readouterr()
    more = autopeft.resume(str(result.path), trials=4, progress=False)
    assert capfd.readouterr().err == ""
    assert len(more.trials) == 4
    assert more.trials[:3] == result.trials[:3]
    frame = more.to_pandas()
    assert sorted(frame["trial"]) == [0, 1, 2, 3]
    assert frame.loc[frame["trial"] == result.best().number, "accuracy"].item() == result.best().metrics["accuracy"]
    shown = more._repr_html_()
    assert shown is not None
    assert shown.count("<tr>") == 4 + shown.count("<thead>")
    assert result.best().configuration.describe().split(",")[0] in unescape(shown)
    image = base64.b64decode(shown.split("data:image/svg+xml;base64,")[1].split('"')[0])
    places = [one.get("href") for one in ElementTree.fromstring(image).iter("{http://www.w3.org/2000/svg}a")]
    assert sorted(places) == [f"#trial-{number}" for number in range(4)]
    assert sum(len(trace.x) for trace in more.figure().data if trace.customdata is not None) == 4
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
    assert len(compared.rows()) == 8
