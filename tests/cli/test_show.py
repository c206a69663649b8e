import json

import pytest
import typer
from typer.testing import CliRunner

from autopeft.budget import Budget
from autopeft.cli.plot import plot
from autopeft.cli.show import show
from autopeft.errors import InvalidInputError
from autopeft.objectives import TRAINABLE_PARAMETERS, Objective
from autopeft.space import MethodChoice, ModuleSlot, SearchSpace
from autopeft.study.directory import RunDirectory
from autopeft.study.problem import SpaceProblem
from autopeft.study.study import Study
from autopeft.training.measurement import Assignment, Measurement
from tests.programs import run_fresh


def measurement(accuracy, parameters):
    return Measurement({"accuracy": accuracy, "f1": accuracy / 2}, (), parameters, 770, 3.25, 3.0, 10**6, 100)


@pytest.fixture
def run(tmp_path):
    """A run of five complete trials, of which the first two are the front, and a failed one."""
    directory = RunDirectory.create(tmp_path / "run")
    objectives = [Objective("accuracy", "maximize"), TRAINABLE_PARAMETERS]
    directory.write_settings(
        {
            "name": "my run",
            "task": {"name": "mrpc"},
            "model": {"name": "tiny", "path": "tiny", "sha256": "00"},
            "budget": Budget().to_dict(),
            "objectives": [vars(objective) for objective in objectives],
            "backbone_parameters": 100_000,
            "head_parameters": 770,
        }
    )
    space = SearchSpace("test", (ModuleSlot("lora", (MethodChoice("lora", (1, 2, 4, 8)),), targets=(("query", "value"),)),), (), n_layers=4)
    study = Study.create(directory, SpaceProblem(space, objectives, lambda _: {}), "random", 0)
    for accuracy, parameters in ((0.7, 1000), (0.9, 64_000), (0.6, 2000), (0.5, 4000), (0.65, 70_000), (None, 0)):
        number, configuration, seed = study.ask()
        assignment = Assignment(number, configuration, Budget(), seed)
        if accuracy is None:
            study.fail(assignment, "out of memory")
        else:
            study.tell(assignment, measurement(accuracy, parameters))
    return directory.path


def call(function, *arguments):
    app = typer.Typer()
    app.command()(function)
    return CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)


def test_the_table_starts_with_the_run_and_its_front(run):
    result = call(show, run)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "Run my run, task mrpc, model tiny of 100,000 parameters"
    start = lines.index("Pareto front (2)")
    assert lines[start + 3].split()[:9] == ["1", "0.9000", "0.4500", "64,000", "64%", "3.2", "peft", "merged", "script"]
    assert "out of memory" in result.stdout


def test_json_has_one_object_per_trial(run):
    rows = json.loads(call(show, run, "--format", "json").stdout)
    assert [(row["trial"], row["state"], row["on_front"]) for row in rows[:2]] == [(0, "complete", True), (1, "complete", True)]
    assert {row["trial"] for row in rows} == set(range(6))
    assert rows[1].keys() >= {"trial", "state", "on_front", "trainable_parameters", "accuracy", "f1", "seconds", "configuration"}
    assert rows[1]["exports_to"] == ["peft", "merged", "script"]
    assert rows[-1]["state"] == "failed"
    assert "exports_to" not in rows[-1]


@pytest.mark.parametrize("verb", [show, plot])
def test_a_folder_without_a_run_is_named(verb, tmp_path):
    with pytest.raises(InvalidInputError, match=r"holds run\.json"):
        call(verb, tmp_path)


READ = """
import runpy, sys
sys.argv = ["autopeft", *sys.argv[1:]]
try:
    runpy.run_module("autopeft", run_name="__main__", alter_sys=True)
except SystemExit as end:
    print([name for name in ('torch', 'transformers', 'peft', 'ray') if name in sys.modules], file=sys.stderr)
    raise
"""


@pytest.mark.parametrize(("verb", "printed"), [("show", "Pareto front (2)"), ("plot", "pareto.svg"), ("report", "report.html")])
def test_no_verb_that_only_reads_imports_torch(run, verb, printed):
    answer = run_fresh("-W", "error", "-c", READ, verb, run)
    assert answer.code == 0, answer.err
    assert printed in answer.out
    assert answer.err.strip() == "[]"
