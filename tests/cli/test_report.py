import json
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from autopeft.budget import Budget
from autopeft.cli.report import report
from autopeft.errors import InvalidInputError
from autopeft.objectives import TRAINABLE_PARAMETERS, Objective
from autopeft.space import MethodChoice, ModuleSlot, SearchSpace
from autopeft.study.directory import RunDirectory
from autopeft.study.problem import SpaceProblem
from autopeft.study.study import Study
from autopeft.training.measurement import Assignment, Measurement

OBJECTIVES = (Objective("accuracy", "maximize"), TRAINABLE_PARAMETERS)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    directory = RunDirectory.create(tmp_path / "run")
    directory.write_settings({"objectives": [vars(objective) for objective in OBJECTIVES]})
    space = SearchSpace("test", (ModuleSlot("lora", (MethodChoice("lora", (1, 2, 4, 8)),)),), (), n_layers=4)
    study = Study.create(directory, SpaceProblem(space, OBJECTIVES, lambda _: {}), "random", 0)
    for accuracy, parameters in ((0.7, 0), (0.8, 5000)):
        number, configuration, seed = study.ask()
        found = Measurement({"accuracy": accuracy}, (), parameters, 770, 3.25, 3.0, 10**6, 100)
        study.tell(Assignment(number, configuration, Budget(), seed), found)
    return directory.path


def call(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(report)
    return CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)


def test_the_page_goes_into_the_run_and_is_named(run: Path) -> None:
    assert call(run).stdout.split() == [str(run / "report" / "report.html")]
    assert (run / "report" / "report.html").read_text().startswith("<!DOCTYPE html>")


def test_other_formats_and_another_folder(run: Path, tmp_path: Path) -> None:
    call(run, "--format", "md, json", "--out", tmp_path / "there")
    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == ["report.json", "report.md"]
    assert [row["trial"] for row in json.loads((tmp_path / "there" / "report.json").read_text())["trials"]] == [0, 1]
    assert not (run / "report").exists()


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"holds run\.json"):
        call(tmp_path)
