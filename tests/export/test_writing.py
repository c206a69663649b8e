import json
import os
import stat
from dataclasses import asdict, replace

import pytest
from peft import PeftConfig

import autopeft
from autopeft.configuration import Configuration, PeftModule
from autopeft.errors import InvalidInputError, UnknownNameError, UnsupportedError
from autopeft.export.finished_trial import read_trial
from autopeft.export.plan import ExportPlan, Written
from autopeft.export.registry import TARGETS, get_target
from autopeft.export.writing import export_trial
from autopeft.objectives import TRAINABLE_PARAMETERS, Objective
from autopeft.request import SearchRequest
from autopeft.space import MethodChoice, ModuleSlot, SearchSpace
from autopeft.study.directory import RunDirectory
from autopeft.study.problem import SpaceProblem
from autopeft.study.study import Study
from autopeft.tasks import get_task
from autopeft.training.measurement import Assignment

OBJECTIVES = (Objective("accuracy", "maximize"), TRAINABLE_PARAMETERS)


@pytest.fixture
def run(train_trial, data_file, tmp_path):
    """A run whose trial 0 is complete, 1 failed, and 2 still running."""
    configuration = Configuration((PeftModule("lora", 2, tuple(range(12)), ("query",)),))
    trial, measurement = train_trial(configuration)
    directory = RunDirectory.create(tmp_path / "run")
    request = SearchRequest(train=str(data_file), text=("text",), label="label", workers=2)
    directory.write_settings(
        {
            "name": "my run",
            "settings": request.to_settings({}),
            "task": trial.task.to_dict(),
            "model": asdict(trial.backbone),
            "budget": trial.budget.to_dict(),
            "objectives": [asdict(objective) for objective in OBJECTIVES],
        }
    )
    space = SearchSpace("one", (ModuleSlot("lora", (MethodChoice("lora", (2,)),), (("query",),)),), (), n_layers=12, rule="all")
    study = Study.create(directory, SpaceProblem(space, OBJECTIVES, lambda _: {}), "random", 0)
    assignments = [Assignment(*study.ask()[:2], trial.budget, seed=3) for _ in range(3)]
    directory.write_trial(0, {f"adapter/{path.name}": path.read_bytes() for path in trial.adapter.iterdir()})
    study.tell(assignments[0], measurement)
    study.fail(assignments[1], "training diverged")
    return directory


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_has_a_planner(name):
    assert callable(get_target(name).planner)
    assert TARGETS[name].summary


def test_a_trial_is_read_with_all_that_an_export_needs(run, data_file):
    trial = read_trial(run, 0)
    nothing = {"validation": None, "test": None, "kind": None, "language": None}
    assert trial.data == {"train": str(data_file), "text": ["text"], "label": "label", **nothing}
    assert (trial.run, trial.threads, trial.task.name) == ("my run", 1, "films")
    assert trial.configuration.describe().startswith("lora 2 [query] in 0 1")


def test_folders_of_a_task_are_kept_with_their_full_paths(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = run.settings()
    settings["settings"] = SearchRequest(task="mrpc", data_dir="data", workers=0).to_settings({})
    run.write_settings(settings)
    trial = read_trial(run, 0)
    assert trial.data == {"task": "mrpc", "data_dir": str(tmp_path / "data")}
    assert trial.threads is None


def test_exports_go_into_the_run(run):
    notes = []
    out = export_trial(run, 0, "peft", notify=notes.append)
    assert out == run.exports_path / "0000-peft"
    assert "vLLM can't serve this adapter: it brings whole modules (bert.pooler, classifier)" in notes[0]
    card = (out / "README.md").read_text()
    assert all(note in card for note in notes)
    assert PeftConfig.from_pretrained(out).r == 2
    assert [path.name for path in run.exports_path.iterdir()] == ["0000-peft"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
@pytest.mark.parametrize("target", ["peft", "adapters", "merged", "script"])
def test_weights_are_as_readable_as_other_files(run, target):
    before = os.umask(0o027)
    try:
        out = export_trial(run, 0, target)
    finally:
        os.umask(before)
    modes = {str(path.relative_to(out)): stat.S_IMODE(path.stat().st_mode) for path in out.rglob("*") if path.is_file()}
    assert any(name.endswith(".safetensors") for name in modes)
    assert set(modes.values()) == {0o640}, modes


def test_another_folder_may_be_given_if_it_is_empty(run, tmp_path):
    out = tmp_path / "mine"
    out.mkdir()
    assert export_trial(run, 0, "script", out) == out
    settings = json.loads((out / "settings.json").read_text())
    assert settings["seed"] == read_trial(run, 0).record.seed
    with pytest.raises(InvalidInputError, match="the output folder is in use"):
        export_trial(run, 0, "script", out)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (1, "only a complete trial can be exported; trial 1 is failed: training diverged"),
        (2, "trial 2 is running"),
        (7, r"no trial of this number \(got 7\)\. Its trials are 0 to 2"),
    ],
)
def test_a_trial_without_a_result_is_refused(run, number, message):
    with pytest.raises(InvalidInputError, match=message):
        export_trial(run, number, "script")
    assert not run.exports_path.exists()


def test_a_lost_adapter_is_named(run):
    run.adapter_path(0).rename(run.path / "elsewhere")
    with pytest.raises(InvalidInputError, match="trial 0 has no saved adapter"):
        export_trial(run, 0, "script")


def test_an_unknown_target_is_refused_with_the_nearest(run):
    with pytest.raises(UnknownNameError, match=r"unknown export target .*Did you mean 'peft'"):
        export_trial(run, 0, "pefft")


def test_a_writer_that_fails_leaves_nothing_behind(run, monkeypatch):
    def fail(folder):
        (folder / "half").write_text("x")
        raise UnsupportedError("no")

    monkeypatch.setattr("autopeft.export.trainer_script.plan", lambda trial: ExportPlan(fail))
    with pytest.raises(UnsupportedError, match="no"):
        export_trial(run, 0, "script")
    assert not list(run.exports_path.iterdir())


def test_what_would_be_lost_is_refused_and_with_lossy_written_down(run, monkeypatch):
    def write(folder):
        (folder / "half").write_text("x")
        return Written(get_task("demo"))

    plan = ExportPlan(write, ("the first half", "the label"))
    monkeypatch.setattr("autopeft.export.trainer_script.plan", lambda trial: plan)
    with pytest.raises(UnsupportedError, match=r"it would lose: the first half; the label\..*--lossy"):
        export_trial(run, 0, "script")
    assert not run.exports_path.exists()
    out = export_trial(run, 0, "script", lossy=True)
    assert (out / "half").read_text() == "x"
    assert (out / "LOST.md").read_text().endswith("\n- the first half\n- the label\n")


def test_a_refusal_names_what_holds_the_trial(run, monkeypatch):
    trial = read_trial(run, 0)
    biases = replace(trial, record=replace(trial.record, configuration=Configuration((PeftModule("bitfit", 1, (0,)),))))
    monkeypatch.setattr("autopeft.export.writing.read_trial", lambda run, number: biases)
    with pytest.raises(UnsupportedError, match=r"has no LoRA that could be expressed.* Use --to merged or --to script\.$"):
        export_trial(run, 0, "peft")


def test_a_faithful_export_has_no_list_of_losses(run):
    assert not (export_trial(run, 0, "script", lossy=True) / "LOST.md").exists()


def test_plugins_are_imported_and_go_with_the_script(run, tmp_path):
    plugin = tmp_path / "own.py"
    plugin.write_text("import autopeft\nautopeft.ran = __file__\n")
    settings = run.settings()
    settings["settings"]["plugins"] = {"value": [str(plugin)], "source": "flag"}
    run.write_settings(settings)
    out = export_trial(run, 0, "script")
    assert autopeft.ran == str(plugin)
    assert (out / "plugins" / "00_own.py").read_text() == plugin.read_text()
