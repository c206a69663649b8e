import importlib.util
import json
import math
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from autopeft.configuration import Configuration, PeftModule
from autopeft.export import own_wheel, script_data
from autopeft.export.trainer_script import plan, requirements
from autopeft.methods.adapter_files import DESCRIPTION, TENSORS
from autopeft.tasks import family_of, get_task
from tests.programs import run_fresh, run_script_here

TRAINING = {"learning_rate": 0.02, "warmup_fraction": 0.2, "weight_decay": 0.01, "schedule": "cosine", "optimizer": "radam"}
RECIPES = {"head_rate": 2.0, "l2_start": 0.01, "label_smoothing": 0.1, "r_drop": 0.5, "adversarial_noise": 0.1, "batch_factor": 0.5}
COMPOSITE = Configuration(
    (
        PeftModule("serial_adapter", 2, (0, 2)),
        PeftModule("parallel_adapter", 3, (1,)),
        PeftModule("prefix", 2, (0, 1)),
        PeftModule("lora", 4, (1, 2), ("query", "value"), {"dropout": 0.1}),
        PeftModule("adalora", 6, (0,)),
    ),
    TRAINING | RECIPES,
)


@pytest.fixture(scope="module")
def composite(train_trial, data_file, tmp_path_factory):
    """A trial of five methods, how it was measured, and its export, moved away from data that are gone."""
    file = shutil.copy(data_file, tmp_path_factory.mktemp("own") / "films.csv")
    trial, measurement = train_trial(COMPOSITE, file=file)
    folder = tmp_path_factory.mktemp("exports") / "script"
    written = tmp_path_factory.mktemp("written")
    plan(trial).write(written)
    file.unlink()
    written.rename(folder)
    return trial, measurement, folder


def run_script(folder, *arguments):
    answer = run_script_here(folder / "train.py", *arguments, folder=folder.parent)
    assert answer.code == 0, answer.err
    return answer.out


def test_the_saved_adapter_evaluates_to_the_stored_metrics_exactly(composite, tmp_path):
    """In a fresh process, away from the repository, with autopeft from the wheel in the folder."""
    trial, measurement, folder = composite
    own = (folder / "requirements.txt").read_text().splitlines()[0]
    installed = run_fresh("-m", "pip", "install", "--no-index", "--no-deps", "--no-compile", "--target", tmp_path, own, folder=folder)
    assert installed.code == 0, installed.err
    elsewhere = {"folder": folder.parent, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    which = run_fresh("-c", "import autopeft; from autopeft.space.reader import builtin_folder; print(builtin_folder())", **elsewhere)
    assert which.out.strip() == str(tmp_path / "autopeft" / "search_spaces")
    answer = run_fresh(folder / "train.py", "--evaluate", **elsewhere)
    assert answer.code == 0, answer.err
    metrics = json.loads(answer.out)
    assert metrics == dict(measurement.metrics)
    assert metrics == json.loads((folder / "settings.json").read_text())["validation_metrics"]
    assert trial.task.metric in metrics


def test_training_with_the_search_budget_repeats_the_search(composite):
    _, measurement, folder = composite
    printed = [json.loads(line) for line in run_script(folder, "--budget", "search").splitlines() if line.startswith('{"epoch"')]
    curve = [json.loads(line) for line in (folder / "trained" / "curve.jsonl").read_text().splitlines()]
    assert printed == curve
    assert [row["epoch"] for row in curve] == [point.epoch for point in measurement.curve]
    assert [row["train_loss"] for row in curve] == pytest.approx([point.train_loss for point in measurement.curve], abs=1e-4)
    assert {name: curve[-1][name] for name in measurement.metrics} == pytest.approx(dict(measurement.metrics), abs=1e-4)
    assert sorted(path.name for path in (folder / "trained").iterdir()) == ["adapter", "curve.jsonl"]


def test_of_equal_epochs_the_one_with_the_lower_loss_is_kept(composite, tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("exported_train", composite[2] / "train.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    kept, family = [], family_of(get_task("mrpc"))
    trainer = object.__new__(script.SearchTrainer)
    vars(trainer).update(
        best=(-math.inf, -math.inf),
        loss_sum=0.0,
        out=tmp_path,
        train_dataset=SimpleNamespace(family=family, weights=np.ones(1)),
        eval_dataset=SimpleNamespace(family=family),
        model=None,
        hooks=SimpleNamespace(may_be_kept=lambda n_steps: True),
        applied=SimpleNamespace(save=lambda folder, metadata: kept.append(metadata["epoch"])),
    )
    for epoch, (accuracy, loss) in enumerate([(0.5, 0.9), (0.5, 0.7), (0.5, 0.8), (0.4, 0.1), (0.6, 2.0)], 1):
        trainer.state = SimpleNamespace(epoch=epoch, global_step=epoch)
        monkeypatch.setattr(script, "evaluate", lambda *_, found={"accuracy": accuracy, "loss": loss}: found)
        trainer.evaluate()
    assert kept == [1, 2, 5]


def test_regression_evaluates_exactly_too(train_trial, score_file, tmp_path):
    trial, measurement = train_trial(replace(COMPOSITE, training=TRAINING), file=score_file)
    plan(trial).write(tmp_path)
    assert trial.task.kind == "regression"
    assert json.loads(run_script(tmp_path, "--evaluate")) == dict(measurement.metrics)


def test_another_backbone_is_an_error_in_one_line(composite, model_folder):
    answer = run_script_here(composite[2] / "train.py", "--evaluate", "--model", model_folder("roberta"))
    assert answer.code == 1
    assert "trained on another backbone" in answer.err
    assert "Traceback" not in answer.err


def test_another_file_of_examples_is_an_error_in_one_line(composite, data_file, tmp_path):
    shutil.copy(data_file, tmp_path / "train.csv")
    folder = composite[2]
    assert run_script_here(folder / "train.py", "--evaluate", "--data-dir", tmp_path).code == 0
    with (tmp_path / "train.csv").open("a") as file:
        file.write("one more,yes\n")
    answer = run_script_here(folder / "train.py", "--evaluate", "--data-dir", tmp_path)
    assert answer.code == 1
    assert answer.err.strip().endswith("train.csv is not the file that the search read; --data-dir says where that is")


def test_large_files_stay_where_they_are(composite, data_file, tmp_path, monkeypatch):
    monkeypatch.setattr(script_data, "COPIED_BYTES", 10)
    trial = replace(composite[0], data=composite[0].data | {"train": str(data_file)})
    data = script_data.place_data(trial, tmp_path)
    assert (data["train"], list(data["sha256"]), list(tmp_path.iterdir())) == (str(data_file), ["train"], [])


def test_the_folder_is_complete_and_the_adapter_the_same_but_for_what_its_backbone_is_called(composite):
    trial, _, folder = composite
    expected = {"README.md", "adapter", "configuration.json", "data", "requirements.txt", "settings.json", "train.py"}
    assert {path.name for path in folder.iterdir()} >= expected
    assert (folder / "adapter" / TENSORS).read_bytes() == (trial.adapter / TENSORS).read_bytes()
    own, copy = (json.loads((place / DESCRIPTION).read_text()) for place in (trial.adapter, folder / "adapter"))
    assert (own["backbone"].pop("name"), copy["backbone"].pop("name")) == (trial.backbone.path, "bert")
    assert own == copy
    assert Configuration.from_json((folder / "configuration.json").read_text()) == COMPOSITE


def test_the_readme_says_what_was_found_and_how_to_go_on(composite):
    trial, measurement, folder = composite
    text = (folder / "README.md").read_text()
    assert f"| accuracy | {measurement.metrics['accuracy']!r} |" in text
    assert COMPOSITE.describe() in text
    assert f"{trial.record.trainable_parameters:,} trained parameters" in text
    assert "$" not in text


def test_the_script_is_tidy(composite):
    folder = composite[2]
    rules = ["--isolated", "--line-length", "140", "--select", "E,F,I,UP,B,SIM,RUF"]
    answer = run_fresh("-m", "ruff", "check", *rules, folder / "train.py")
    assert answer.code == 0, answer.out


def test_requirements_name_the_versions_of_the_search(composite):
    trial = replace(composite[0], versions={"torch": "2.9.1+cpu"})
    lines = requirements(trial)
    assert lines[0] == "torch==2.9.1"
    assert {line.split("==")[0] for line in lines} >= {"transformers", "peft", "accelerate"}


@pytest.mark.parametrize(
    ("origin", "line"),
    [
        (None, "autopeft==1.2"),
        ({"url": "https://host/autopeft", "vcs_info": {"vcs": "git", "commit_id": "abc"}}, "autopeft @ git+https://host/autopeft@abc"),
    ],
    ids=["index", "repository"],
)
def test_autopeft_is_required_as_it_was_installed(origin, line, monkeypatch, tmp_path):
    installed = SimpleNamespace(version="1.2", read_text=lambda name: origin and json.dumps(origin))
    monkeypatch.setattr(own_wheel, "distribution", lambda name: installed)
    assert own_wheel.own_requirement(tmp_path) == line
    assert not list(tmp_path.iterdir())
