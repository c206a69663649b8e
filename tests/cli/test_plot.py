import pytest
import typer
from typer.testing import CliRunner

from autopeft.budget import Budget
from autopeft.cli.plot import plot
from autopeft.errors import InvalidInputError, UnknownNameError
from autopeft.objectives import TRAINABLE_PARAMETERS, Objective
from autopeft.space import MethodChoice, ModuleSlot, SearchSpace
from autopeft.study.directory import RunDirectory
from autopeft.study.problem import SpaceProblem
from autopeft.study.study import Study
from autopeft.training.measurement import Assignment, Measurement
from tests.programs import run_fresh

OBJECTIVES = (Objective("accuracy", "maximize"), TRAINABLE_PARAMETERS)


def make_run(path, results):
    directory = RunDirectory.create(path)
    directory.write_settings({"objectives": [vars(objective) for objective in OBJECTIVES]})
    space = SearchSpace("test", (ModuleSlot("lora", (MethodChoice("lora", (1, 2, 4, 8)),), targets=(("query", "value"),)),), (), n_layers=4)
    study = Study.create(directory, SpaceProblem(space, OBJECTIVES, lambda _: {}), "random", 0)
    for accuracy, parameters in results:
        number, configuration, seed = study.ask()
        found = Measurement({"accuracy": accuracy}, (), parameters, 770, 3.25, 3.0, 10**6, 100)
        study.tell(Assignment(number, configuration, Budget(), seed), found)
    return path


def call(*arguments):
    app = typer.Typer()
    app.command()(plot)
    return CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)


def test_everything_is_written_into_the_run_and_listed(tmp_path):
    run = make_run(tmp_path / "run", [(0.7, 0), (0.8, 5000)])
    result = call(run)
    names = ["pareto.html", "pareto.png", "pareto.svg", "leaderboard.csv", "front.json"]
    assert result.stdout.split() == [str(run / "report" / name) for name in names]
    assert all((run / "report" / name).stat().st_size for name in names)


def test_another_folder_and_one_format(tmp_path):
    run = make_run(tmp_path / "run", [(0.7, 0)])
    call(run, "--out", tmp_path / "figures", "--format", "svg")
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == ["front.json", "leaderboard.csv", "pareto.svg"]
    assert not (run / "report").exists()


def test_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(UnknownNameError, match="plot format"):
        call(make_run(tmp_path / "run", [(0.7, 0)]), "--format", "pdf")


def test_a_run_without_results_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="at least one complete trial"):
        call(make_run(tmp_path / "run", []))


def test_only_what_is_drawn_is_loaded(tmp_path):
    run = make_run(tmp_path / "run", [(0.7, 0)])
    code = (
        "import sys; from pathlib import Path; from autopeft.cli.plot import plot; "
        f"plot(Path({str(run)!r}), formats='svg'); print('plotly' in sys.modules, 'matplotlib' in sys.modules, file=sys.stderr)"
    )
    answer = run_fresh("-c", code)
    assert answer.code == 0, answer.err
    assert answer.err.split() == ["False", "True"]
