"""Scores of written texts: the built-in ones by hand, and a user's own."""

import math
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import autopeft
from autopeft.api import SearchResult
from autopeft.budget import Budget
from autopeft.errors import InvalidInputError
from autopeft.loops import search as engine
from autopeft.plugins import import_plugin
from autopeft.tasks import Task, family_of, text_scores
from autopeft.tasks.text_scores import means, number_match, own_text_metrics, register_text_metric, scores_of_each
from tests.loops.searches import Log, records
from tests.loops.test_families import request_of

PLUGIN = """
import autopeft

def words(text, reference):
    return min(1.0, len(text.split()) / 10)

autopeft.register_text_metric("wordiness", words, "minimize")
"""


@pytest.fixture(autouse=True)
def _own_scores_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests of the same process may have registered some, too."""
    monkeypatch.setattr(text_scores, "_known", dict(text_scores._BUILT_IN))


@pytest.mark.parametrize(
    ("text", "reference", "found"),
    [
        ("She has 3 + 4 = 7 eggs.", "... #### 7", 1.0),
        ("It is $1,234.50.", "#### 1234.5", 1.0),
        ("-5", "5", 0.0),
        ("7 and 8", "7", 0.0),
        ("none", "7", 0.0),
        ("none", "none", 0.0),
    ],
)
def test_the_last_number_matches(text: str, reference: str, found: float) -> None:
    assert number_match(text, reference) == found


@pytest.mark.parametrize("name", ["rouge_l", "loss", "accuracy", "trainable_parameters", "word_error_rate", "Mine", "a b", ""])
def test_names_that_own_scores_can_not_have(name: str) -> None:
    with pytest.raises(InvalidInputError, match="text metric's name"):
        register_text_metric(name, lambda text, reference: 1.0)


@pytest.mark.parametrize("value", [2.0, -0.1, math.nan, "1", None, torch.ones(2)])
def test_an_own_score_is_a_share(value: Any) -> None:
    register_text_metric("mine", lambda text, reference: value)
    with pytest.raises(InvalidInputError, match="mine must return a number from 0 to 1"):
        scores_of_each(["a"], ["b"], own_text_metrics())


@pytest.mark.parametrize("value", [np.float32(0.5), np.float64(0.5), torch.tensor(0.5), Fraction(1, 2), np.bool_(True), True])
def test_an_own_score_may_be_any_number(value: Any) -> None:
    register_text_metric("mine", lambda text, reference: value)
    assert means(scores_of_each(["a"], ["b"], own_text_metrics())) == {"mine": float(value)}


def test_an_own_score_that_fails_is_named_before_anything_is_trained(backbone_folder: Path, tmp_path: Path) -> None:
    def needy(text: str, reference: str) -> float:
        raise ModuleNotFoundError("No module named 'judge'")

    register_text_metric("needy", needy)
    request = replace(request_of("seq2seq", tmp_path, backbone_folder), objectives=("needy", "trainable_parameters"))
    with pytest.raises(InvalidInputError, match="the text metric needy raised ModuleNotFoundError: No module named 'judge'"):
        engine.search(request, Log())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", ["causal_lm", "speech_seq2seq"])
def test_a_search_by_an_own_score(kind: str, backbone_folder: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "wordiness.py"
    plugin.write_text(PLUGIN + f"# {tmp_path}, so that no other test ran it\n")
    objectives = ("wordiness", "trainable_parameters")
    request = replace(request_of(kind, tmp_path, backbone_folder), rungs=(), plugins=(str(plugin),), objectives=objectives)
    found = records(engine.search(request, Log()))
    assert all(record.state == "complete" and 0 <= record.values["wordiness"] <= 1 for record in found)
    result = SearchResult(tmp_path / "run")
    assert result.best().values["wordiness"] == min(record.values["wordiness"] for record in found)
    table = result.retrain(pick="best", seeds=1, epochs=1, workers=0, progress=False)
    assert "wordiness" in table.entries[0].results[0].test
    assert "wordiness" in table.entries[0].results[0].resampled, "so that intervals know of test examples"
    result.report(tmp_path / "report")
    script = result.export("best", to="script", out=tmp_path / "script")
    assert autopeft.load_predictor(script), "the copy of the plugin is the plugin"
    merged = result.export("best", to="merged", out=tmp_path / "merged")
    code = f"import autopeft; autopeft.load_predictor({str(merged)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_score_that_a_process_does_not_know_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Python code registers without a plugin, no worker knows."""
    register_text_metric("mine", lambda text, reference: 1.0)
    task = Task("own", "seq2seq", ("document",), "summary", (), "mine", ("loss", "mine"), Budget(epochs=1, batch_size=4))
    monkeypatch.delitem(text_scores._known, "mine")
    with pytest.raises(InvalidInputError, match=r"must know each metric \(got 'mine'\). Register it in a Python file"):
        assert family_of(task).is_measured_by_writing


def test_a_plugin_that_failed_may_be_mended(tmp_path: Path) -> None:
    plugin = tmp_path / "mended.py"
    plugin.write_text("1 / 0")
    with pytest.raises(InvalidInputError, match="ZeroDivisionError"):
        import_plugin(str(plugin))
    plugin.write_text("import autopeft\nautopeft.register_text_metric('mended', lambda text, reference: 1.0)")
    import_plugin(str(plugin))
    assert [metric.name for metric in own_text_metrics()] == ["mended"]
