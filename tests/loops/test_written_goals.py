"""Searches by what models write: measured when a trial is done, on validation data, in trials, confirmations and exports."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import autopeft
from autopeft.api import SearchResult, SilentSearch
from autopeft.errors import AutopeftError, InvalidInputError, UnavailableError, UnknownNameError
from autopeft.loops import planning
from autopeft.loops import search as engine
from autopeft.request import SearchRequest
from tests.loops.searches import Log, records
from tests.loops.test_families import request_of
from tests.tasks.helpers import write
from tests.tasks.small import word

GOALS = {"causal_lm": "rouge_l", "seq2seq": "rouge_l", "speech_seq2seq": "character_error_rate"}


def written_request(kind: str, folder: Path, tokenizer: Path) -> SearchRequest:
    return replace(request_of(kind, folder, tokenizer), objectives=(GOALS[kind], "trainable_parameters"))


@pytest.mark.parametrize("kind", GOALS)
def test_trials_confirmations_and_retrainings_have_the_goal(kind: str, backbone_folder: Path, tmp_path: Path) -> None:
    goal = GOALS[kind]
    request = replace(written_request(kind, tmp_path, backbone_folder), confirm=1)
    with pytest.raises(KeyboardInterrupt):
        engine.search(request, Log(stop_after=1))
    found = records(engine.resume(tmp_path / "run", SilentSearch()))
    complete = [record for record in found if record.state == "complete"]
    assert complete
    assert all(math.isfinite(record.values[goal]) and record.metrics[goal] == record.values[goal] for record in complete)
    assert all(goal not in rung.metrics for record in found for rung in record.rungs), "it is measured at the end alone"
    (confirmed,) = [record.confirmation for record in found if record.confirmed]
    assert confirmed is not None
    assert math.isfinite(confirmed.values[goal])
    result = SearchResult(tmp_path / "run")
    ((trained,),) = (entry.results for entry in result.retrain(pick="best", seeds=1, workers=0, progress=False).entries)
    assert trained.validation[goal] == confirmed.values[goal], "it is that training"
    assert goal in trained.test
    assert goal in trained.resampled, "so that intervals know of test examples"
    (page,) = result.report(tmp_path / "report")
    assert "Generated texts" in page.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("kind", GOALS)
def test_an_exported_script_measures_the_same(kind: str, backbone_folder: Path, tmp_path: Path) -> None:
    result = SearchResult(engine.search(replace(written_request(kind, tmp_path, backbone_folder), rungs=(), trials=1), Log()).path)
    done = run_script(result.export("best", to="script", out=tmp_path / "script"), "--evaluate")
    assert json.loads(done.splitlines()[-1]) == pytest.approx(dict(result.best().metrics))


@pytest.mark.slow
def test_an_exported_script_trains_by_the_loss(backbone_folder: Path, tmp_path: Path) -> None:
    request = replace(written_request("seq2seq", tmp_path, backbone_folder), rungs=(), trials=1)
    script = SearchResult(engine.search(request, Log()).path).export("best", to="script", out=tmp_path / "script")
    run_script(script, "--budget", "search")
    *_, last = (script / "trained" / "curve.jsonl").read_text(encoding="utf-8").splitlines()
    assert "loss" in last
    assert "rouge_l" not in last, "texts aren't written after every epoch"
    assert (script / "trained" / "adapter").is_dir()


def run_script(folder: Path, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "train.py", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("more", [("exact_match",), ("loss",), ("latency_seconds",)], ids=lambda names: names[0])
def test_rungs_go_by_the_loss_beside_whatever_is_measured_at_the_end_alone(
    more: tuple[str, ...], backbone_folder: Path, tmp_path: Path
) -> None:
    """What nobody knows at a rung left trials in the order of their numbers there."""
    request = replace(written_request("seq2seq", tmp_path, backbone_folder), trials=9, max_params=None, confirm=0)
    found = records(engine.search(replace(request, objectives=("rouge_l", *more)), Log()))
    losses = [record.rungs[0].metrics["loss"] for record in found]
    assert min(losses) < losses[0], "the first isn't the best by chance"
    assert found[losses.index(min(losses))].state == "complete"


def test_the_first_metric_among_the_objectives_is_the_goal_everywhere(small_request: SearchRequest, tmp_path: Path) -> None:
    request = replace(small_request, trials=1, objectives=("macro_f1", "trainable_parameters"), out=str(tmp_path / "run"))
    engine.search(request, Log())
    result = SearchResult(tmp_path / "run")
    table = result.retrain(pick="best", seeds=1, workers=0, progress=False)
    assert table.settings["metric"] == "macro_f1"
    assert json.loads((tmp_path / "run" / "run.json").read_text())["task"]["metric"] == "macro_f1"


def test_a_run_of_an_earlier_version_goes_on_by_its_own_metric(small_request: SearchRequest, tmp_path: Path) -> None:
    """Earlier versions kept epochs by the task's first metric, whatever was searched; what is measured for their runs must compare."""
    request = replace(small_request, trials=1, confirm=1, objectives=("macro_f1", "trainable_parameters"), out=str(tmp_path / "run"))
    engine.search(replace(request, confirm=0), Log())
    settings = json.loads((tmp_path / "run" / "run.json").read_text())
    settings["task"]["metric"] = "accuracy"
    (tmp_path / "run" / "run.json").write_text(json.dumps(settings))
    engine.resume(tmp_path / "run", SilentSearch(), {"confirm": 1})
    assert json.loads((tmp_path / "run" / "run.json").read_text())["task"]["metric"] == "accuracy"
    table = SearchResult(tmp_path / "run").retrain(pick="best", seeds=2, workers=0, progress=False)
    assert table.settings["metric"] == "accuracy"


def test_a_score_that_a_plugin_has_no_more_is_missed_before_anything_is_trained(small_request: SearchRequest, tmp_path: Path) -> None:
    engine.search(replace(small_request, trials=1, out=str(tmp_path / "run")), Log())
    settings = json.loads((tmp_path / "run" / "run.json").read_text())
    settings["settings"]["objectives"] = {"value": ["gone", "trainable_parameters"], "source": "flag"}
    (tmp_path / "run" / "run.json").write_text(json.dumps(settings))
    with pytest.raises(UnknownNameError, match="gone"):
        SearchResult(tmp_path / "run").retrain(pick="best", seeds=1, workers=0, progress=False)


def test_texts_that_continue_nothing_can_not_be_goals(backbone_folder: Path, tmp_path: Path) -> None:
    request = written_request("causal_lm", tmp_path, backbone_folder)
    texts = write(tmp_path / "texts.jsonl", {"text": [f"the cat sees {place}" for place in range(24)]})
    alone = replace(request, train=str(texts), validation=str(texts), test=str(texts), kind="causal_lm")
    with pytest.raises(InvalidInputError, match="no training example has a prompt"):
        engine.search(alone, Log())
    assert not (tmp_path / "run").exists()


def test_test_examples_without_prompts_are_refused_before_anything_is_trained(backbone_folder: Path, tmp_path: Path) -> None:
    bare = write(tmp_path / "bare.jsonl", {"prompt": [""] * 4, "completion": ["red cat", "blue", "new dog", "old"]})
    engine.search(replace(written_request("causal_lm", tmp_path, backbone_folder), test=str(bare), rungs=(), trials=1), Log())
    with pytest.raises(AutopeftError, match="no test example has a prompt"):
        SearchResult(tmp_path / "run").retrain(pick="best", seeds=1, workers=0, progress=False)


def test_how_many_validation_examples_are_scored_is_said(backbone_folder: Path, tmp_path: Path) -> None:
    some = write(tmp_path / "some.jsonl", {"prompt": ["", "the cat"] * 4, "completion": [f"red {word(place)}" for place in range(8)]})
    plan = planning.plan(replace(written_request("causal_lm", tmp_path, backbone_folder), validation=str(some)))
    assert any("texts are written and scored for 4 of 8 validation examples" in note for note in plan.data.notes)


def test_metrics_of_texts_are_for_tasks_that_write(small_request: SearchRequest) -> None:
    with pytest.raises(UnknownNameError, match="rouge_l"):
        engine.search(replace(small_request, objectives=("rouge_l", "trainable_parameters")), Log())


def test_a_goal_that_needs_a_package_says_so(backbone_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    for kind, error, message in (
        ("seq2seq", UnavailableError, r"autopeft\[translation\]"),
        ("causal_lm", UnknownNameError, "unknown objective"),  # which no package would change
    ):
        folder = tmp_path / kind
        folder.mkdir()
        request = replace(written_request(kind, folder, backbone_folder), objectives=("bleu", "trainable_parameters"))
        with pytest.raises(error, match=message):
            engine.search(request, Log())


def test_texts_are_as_long_as_is_asked(backbone_folder: Path, tmp_path: Path) -> None:
    request = replace(written_request("causal_lm", tmp_path, backbone_folder), rungs=(), trials=1)
    lengths = {}
    for n in (2, 5):
        result = SearchResult(engine.search(replace(request, max_new_tokens=n, out=str(tmp_path / str(n))), Log()).path)
        export = result.export("best", to="script", out=tmp_path / f"script-{n}")
        (answer,) = autopeft.load_predictor(export).predict([{"prompt": "the"}])
        lengths[n] = len(answer["prediction"].split())
    assert lengths[2] <= 2 < lengths[5] <= 5, "words are tokens, of which some are left out as special ones"
    (longer,) = autopeft.load_predictor(export, max_new_tokens=12).predict([{"prompt": "the"}])
    assert len(longer["prediction"].split()) > 5
    with pytest.raises(InvalidInputError, match="a token or more"):
        autopeft.load_predictor(export, max_new_tokens=0)


@pytest.mark.parametrize("kind", ["classification", "speech_seq2seq"])
def test_how_long_texts_are_is_for_tasks_that_write_to_an_open_end(kind: str, backbone_folder: Path, tmp_path: Path) -> None:
    request = replace(request_of(kind, tmp_path, backbone_folder), max_new_tokens=5)
    with pytest.raises(InvalidInputError, match="--max-new-tokens"):
        engine.search(request, Log())
    with pytest.raises(InvalidInputError, match="--max-new-tokens must be a whole number of 1 or more"):
        replace(request, max_new_tokens=0)
