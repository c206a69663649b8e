import json

import pytest

from autopeft.api import Silent
from autopeft.errors import InvalidInputError
from autopeft.export.writing import export_trial
from autopeft.loops.retrain import RetrainRequest, of_trials, retrain
from autopeft.loops.selection import choose
from autopeft.study.directory import RunDirectory
from tests.programs import run_script_here


def test_the_best_seed_is_exported_and_evaluates_to_its_metrics(small_run: RunDirectory) -> None:
    folder = retrain(small_run, of_trials(choose(small_run, [1])), RetrainRequest(seeds=2, epochs=2), Silent())
    (found,) = folder.read()
    best = max(found.results, key=lambda result: (result.validation["accuracy"], -result.validation["loss"]))

    exported = export_trial(small_run, 1, "script", retrained=True)
    assert exported.name == "0001-script-retrained"
    answer = run_script_here(exported / "train.py", "--evaluate")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out) == best.validation
    readme = (exported / "README.md").read_text()
    assert "It was retrained: all training examples x 2 epochs" in readme
    assert f"| test metric | value |\n|---|---|\n| accuracy | {best.test['accuracy']!r} |" in readme
    assert "low budget" not in readme

    with pytest.raises(InvalidInputError, match=r"trial 0 was not retrained. Train it with: autopeft retrain .* --trial 0"):
        export_trial(small_run, 0, "script", retrained=True)
