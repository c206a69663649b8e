"""A trained model on new examples: out of a run and out of each form of export, in process and from the command line."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas
import pytest
from typer.testing import CliRunner

import autopeft
from autopeft.api import SilentSearch
from autopeft.cli.main import app
from autopeft.errors import InvalidInputError, UnavailableError, UnsupportedError
from autopeft.loops.search import search
from autopeft.request import SearchRequest
from autopeft.study.directory import RunDirectory

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft 0.21 asks transformers for it


@pytest.fixture(scope="module")
def result(small_request: SearchRequest, tmp_path_factory: pytest.TempPathFactory) -> autopeft.SearchResult:
    request = replace(small_request, space="lora", start=("lora",), trials=1, evaluation_examples=1000)
    return autopeft.SearchResult(search(replace(request, out=str(tmp_path_factory.mktemp("search") / "run")), SilentSearch()).path)


@pytest.fixture(scope="module")
def rows(pairs: tuple[Path, Path]) -> list[dict[str, str]]:
    with pairs[1].open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_predictions_have_the_accuracy_that_was_measured(result: autopeft.SearchResult, rows: list[dict[str, str]]) -> None:
    answers = result.predictor("best").predict([{"a": row["a"], "b": row["b"]} for row in rows])
    right = [answer["prediction"] == row["label"] for answer, row in zip(answers, rows, strict=True)]
    assert sum(right) / len(rows) == pytest.approx(result.best().metrics["accuracy"])
    assert result.predictor("best").predict(pandas.DataFrame(rows)) == answers
    for answer in answers:
        assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert max(answer["probabilities"], key=answer["probabilities"].get) == answer["prediction"]


@pytest.mark.parametrize("form", ["script", "merged", "peft"])
def test_every_form_answers_as_the_run_does(result: autopeft.SearchResult, rows: list[dict[str, str]], form: str, tmp_path: Path) -> None:
    folder = result.export("best", to=form, out=tmp_path / "exported")
    shutil.move(folder, tmp_path / "moved")
    found = autopeft.load_predictor(tmp_path / "moved").predict(rows)
    wanted = result.predictor(0).predict(rows)
    assert [one["prediction"] for one in found] == [one["prediction"] for one in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-4)


@pytest.mark.parametrize("form", ["script", "merged", "peft", "adapters"])
def test_a_folder_that_is_passed_on_names_none_of_this_machine(
    result: autopeft.SearchResult, rows: list[dict[str, str]], backbone_folder: Path, form: str, tmp_path: Path
) -> None:
    """Where the hub has the backbone, or the export its weights; the name is enough, and --model says where another copy is."""
    run = RunDirectory.open(Path(shutil.copytree(result.path, tmp_path / "run")))
    settings = run.settings()
    run.write_settings(settings | {"model": settings["model"] | {"name": "org/model"}})
    folder = autopeft.SearchResult(run.path).export(0, to=form, out=tmp_path / "exported", lossy=True)
    private = {str(backbone_folder), str(result.path), str(tmp_path), str(Path.home())}
    for path in (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".whl"):
        assert not [one for one in private if one.encode() in path.read_bytes()], path.name
    if form == "merged":
        assert autopeft.load_predictor(folder).predict(rows[:2])
    elif form != "adapters":
        with pytest.raises(UnavailableError, match="the model org/model is not on this machine"):
            autopeft.load_predictor(folder)
        found = autopeft.load_predictor(folder, model=backbone_folder).predict(rows[:2])
        assert [one["prediction"] for one in found] == [one["prediction"] for one in result.predictor(0).predict(rows[:2])]


def test_the_model_of_an_export_may_be_elsewhere(result: autopeft.SearchResult, backbone_folder: Path, tmp_path: Path) -> None:
    folder = result.export("best", to="script", out=tmp_path / "exported")
    assert str(backbone_folder) not in (folder / "README.md").read_text(encoding="utf-8")
    merged = result.export("best", to="merged", out=tmp_path / "merged")
    assert not [path.name for path in merged.iterdir() if str(backbone_folder).encode() in path.read_bytes()]
    content = json.loads((folder / "autopeft.json").read_text())
    gone = content["backbone"] | {"name": "/gone", "path": "/gone"}
    (folder / "autopeft.json").write_text(json.dumps(content | {"backbone": gone}))
    (tmp_path / "new.csv").write_text("a,b\nthe cat,the dog\n")
    arguments = ["predict", str(folder), "--input", str(tmp_path / "new.csv")]
    assert isinstance(CliRunner().invoke(app, arguments).exception, InvalidInputError)
    answer = CliRunner().invoke(app, [*arguments, "--model", str(backbone_folder)])
    assert json.loads(answer.stdout.splitlines()[-1])["prediction"] in ("same", "different")
    refused = CliRunner().invoke(app, ["predict", str(result.path), *arguments[2:], "--trial", "best", "--model", str(backbone_folder)])
    assert refused.exit_code == 2


def test_a_folder_that_is_no_export_and_a_form_that_answers_nothing(result: autopeft.SearchResult, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"an export is a folder that holds autopeft\.json"):
        autopeft.load_predictor(tmp_path)
    folder = result.export(0, to="merged", out=tmp_path / "merged")
    description = json.loads((folder / "autopeft.json").read_text())
    (folder / "autopeft.json").write_text(json.dumps(description | {"target": "trl"}))
    with pytest.raises(UnsupportedError, match=r"exports of the forms merged, peft, script .got 'trl'"):
        autopeft.load_predictor(folder)


def test_a_damaged_adapter_is_one_error(result: autopeft.SearchResult, small_run: RunDirectory, tmp_path: Path) -> None:
    folder = result.export(0, to="peft", out=tmp_path / "peft")
    weights = folder / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:60])
    with pytest.raises(UnavailableError, match=r"peft can.t load the adapter: .*Export the trial again"):
        autopeft.load_predictor(folder)
    for weights in small_run.path.glob("trials/*/adapter/adapter.safetensors"):
        weights.write_bytes(weights.read_bytes()[:60])
    damaged = autopeft.SearchResult(small_run.path)
    with pytest.raises(InvalidInputError, match="the adapter is damaged"):
        damaged.export("best", to="script")
    assert not list(small_run.exports_path.glob("*"))


def test_another_backbone_s_weights_are_refused(result: autopeft.SearchResult, tmp_path: Path, backbone_folder: Path) -> None:
    folder = result.export(0, to="script", out=tmp_path / "script")
    shutil.copytree(backbone_folder, other := tmp_path / "other")
    content = bytearray((other / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (other / "model.safetensors").write_bytes(content)
    description = json.loads((folder / "autopeft.json").read_text())
    description["backbone"]["path"] = str(other)
    (folder / "autopeft.json").write_text(json.dumps(description))
    with pytest.raises(InvalidInputError, match="not those that the adapter was trained on"):
        autopeft.load_predictor(folder)


def test_what_is_given_wrongly_is_named(result: autopeft.SearchResult) -> None:
    predictor = result.predictor()
    assert predictor.predict([]) == []
    with pytest.raises(InvalidInputError, match="reads 2 columns, so an example must name them"):
        predictor.predict(["one text"])
    with pytest.raises(InvalidInputError, match=r"the list of examples has no column .got 'b'.*It has: a, foo, 1\.$"):
        predictor.predict([{"a": "one", "foo": 1}, {1: "x"}])
    with pytest.raises(InvalidInputError, match="number 2: the text column 'b' must hold text"):
        predictor.predict([{"a": "one", "b": "two"}, {"a": "one"}])
    for wrong in ("one text", {"a": "one", "b": "two"}, None):
        with pytest.raises(InvalidInputError, match=r"must be a list, a DataFrame or a datasets\.Dataset .*Put a single"):
            predictor.predict(wrong)  # type: ignore[arg-type]


def call(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["predict", *map(str, arguments)])


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_the_command_line_writes_rows_with_their_answers(
    result: autopeft.SearchResult, pairs: tuple[Path, Path], rows: list[dict[str, str]], tmp_path: Path, suffix: str
) -> None:
    out = tmp_path / f"answers{suffix}"
    answer = call(result.path, "--trial", "best", "--input", pairs[1], "--output", out)
    assert answer.exit_code == 0, answer.output
    assert answer.stdout.split() == [str(out)]
    if suffix == ".csv":
        with out.open(newline="", encoding="utf-8") as file:
            found: list[dict[str, Any]] = list(csv.DictReader(file))
        assert set(found[0]) == {"a", "b", "label", "prediction", "probability_different", "probability_same"}
    else:
        found = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
        assert set(found[0]) == {"a", "b", "label", "prediction", "probabilities"}
    assert [row["a"] for row in found] == [row["a"] for row in rows]
    assert [row["prediction"] for row in found] == [one["prediction"] for one in result.predictor().predict(rows)]


def test_the_command_line_answers_by_an_export_on_standard_output(
    result: autopeft.SearchResult, pairs: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = result.export(0, to="merged", out=tmp_path / "merged")
    answer = call(folder, "--input", pairs[1])
    assert answer.exit_code == 0, answer.output
    assert set(json.loads(answer.stdout.splitlines()[0])) == {"prediction", "probabilities"}


def test_nothing_is_overwritten_and_a_trial_must_be_named(result: autopeft.SearchResult, pairs: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "there.csv").write_text("mine")
    answer = call(result.path, "--trial", "0", "--input", pairs[1], "--output", tmp_path / "there.csv")
    assert isinstance(answer.exception, InvalidInputError)
    assert "the file of answers exists" in str(answer.exception)
    assert (tmp_path / "there.csv").read_text() == "mine"
    assert call(result.path, "--input", pairs[1]).exit_code == 2
