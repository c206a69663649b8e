import json
from dataclasses import asdict

import numpy as np
import pytest
import typer
from safetensors.numpy import save
from typer.testing import CliRunner

from autopeft.budget import Budget
from autopeft.cli.export import export
from autopeft.errors import InvalidInputError, UnknownNameError, UnsupportedError
from autopeft.objectives import TRAINABLE_PARAMETERS, Objective
from autopeft.request import SearchRequest
from autopeft.space import MethodChoice, ModuleSlot, SearchSpace
from autopeft.study.directory import RunDirectory
from autopeft.study.problem import SpaceProblem
from autopeft.study.study import Study
from autopeft.tasks import get_task
from autopeft.training.backbone import BackboneSource
from autopeft.training.measurement import Assignment, Measurement

TENSORS = save({"a": np.zeros(1, dtype=np.float32)})


@pytest.fixture
def run(tmp_path):
    """A run with one complete trial, whose adapter's tensors nobody reads here."""
    objectives = (Objective("accuracy", "maximize"), TRAINABLE_PARAMETERS)
    directory = RunDirectory.create(tmp_path / "run")
    directory.write_settings(
        {
            "settings": SearchRequest(task="mrpc").to_settings({}),
            "task": get_task("mrpc").to_dict(),
            "model": asdict(BackboneSource("tiny", "/nowhere/tiny", "00")),
            "budget": Budget().to_dict(),
            "objectives": [asdict(objective) for objective in objectives],
            "backbone_parameters": 1000,
        }
    )
    space = SearchSpace("test", (ModuleSlot("prefix", (MethodChoice("prefix", (1, 2)),)),), (), n_layers=2, rule="all")
    study = Study.create(directory, SpaceProblem(space, objectives, lambda _: {}), "random", 0)
    number, configuration, seed = study.ask()
    nothing = {"configuration": {}, "backbone": {}, "head": []}
    description = json.dumps({"format": 1, "metadata": {"task": get_task("mrpc").to_dict()}, **nothing}).encode()
    directory.write_trial(number, {"adapter/adapter.json": description, "adapter/adapter.safetensors": TENSORS})
    study.tell(Assignment(number, configuration, Budget(), seed), Measurement({"accuracy": 0.75}, (), 64, 770, 1.0, 1.0, 1, 1))
    return directory.path


def call(*arguments):
    app = typer.Typer()
    app.command()(export)
    return CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)


def test_the_folder_written_is_printed(run):
    result = call(run, "--trial", 0, "--to", "script")
    folder = run / "exports" / "0000-script"
    assert result.stdout.split() == [str(folder)]
    assert (folder / "adapter" / "adapter.safetensors").read_bytes() == TENSORS
    assert json.loads((folder / "settings.json").read_text())["validation_metrics"] == {"accuracy": 0.75}


def test_another_folder_can_be_named(run, tmp_path):
    assert call(run, "--trial", 0, "--to", "script", "--out", tmp_path / "mine").exit_code == 0
    assert (tmp_path / "mine" / "train.py").is_file()


@pytest.mark.parametrize("pick", ["best", "knee", "max-params=64"])
def test_a_trial_can_be_picked_by_a_wish(run, pick):
    result = call(run, "--pick", pick, "--to", "script")
    assert result.stdout.split() == [str(run / "exports" / "0000-script")]


def test_a_wish_that_nothing_meets_is_refused(run):
    with pytest.raises(InvalidInputError, match="at most 63 trainable parameters: the smallest complete one has 64"):
        call(run, "--pick", "max-params=63", "--to", "script")
    with pytest.raises(UnknownNameError, match="unknown choice of a trial"):
        call(run, "--pick", "bset", "--to", "script")


@pytest.mark.parametrize("arguments", [[], ["--trial", 0, "--pick", "best"]], ids=["neither", "both"])
def test_a_trial_is_named_in_one_way(run, arguments):
    result = call(run, *arguments, "--to", "script")
    assert result.exit_code == 2
    assert "give either --trial N or --pick" in " ".join(result.output.split())


def test_an_unknown_target_is_refused(run):
    with pytest.raises(UnknownNameError, match="export target"):
        call(run, "--trial", 0, "--to", "onnix")


def test_an_unknown_trial_is_refused(run):
    with pytest.raises(InvalidInputError, match="Its trials are 0 to 0"):
        call(run, "--trial", 3, "--to", "script")


def test_what_does_not_merge_is_refused(run):
    with pytest.raises(UnsupportedError, match="these don't: prefix"):
        call(run, "--trial", 0, "--merge")


def test_what_cannot_be_expressed_is_refused(run):
    with pytest.raises(UnsupportedError, match="has no LoRA that could be expressed: prefix"):
        call(run, "--trial", 0, "--to", "trl", "--lossy")


@pytest.mark.parametrize(
    "arguments",
    [("--to", "script"), ("--trial", "0"), ("--trial", "-1", "--to", "script"), ("--trial", "0", "--to", "peft", "--merge")],
)
def test_a_trial_and_one_target_are_needed(run, arguments):
    assert call(run, *arguments).exit_code == 2
