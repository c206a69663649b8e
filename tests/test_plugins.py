import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autopeft import plugins
from autopeft.errors import InvalidInputError
from autopeft.loops import search as engine
from autopeft.methods import registry
from autopeft.plugins import import_plugin
from autopeft.request import SearchRequest
from autopeft.study.directory import RunDirectory
from autopeft.study.reader import StudyReader
from tests.loops.conftest import request_  # noqa: F401 - the fixture
from tests.loops.searches import Log

EXAMPLE = Path(__file__).parents[1] / "examples" / "own_method.py"


@pytest.fixture(autouse=True)
def _plugins_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test forgets to have registered, another must be able to import anew."""
    monkeypatch.setattr(plugins, "_imported", {})


def test_a_plugin_is_imported_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text("print('imported')\n")
    import_plugin(str(tmp_path / "mine.py"))
    import_plugin(str(tmp_path / "mine.py"))
    assert capsys.readouterr().out == "imported\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.py", None, "existing Python file"),
        ("text.txt", "", "existing Python file"),
        ("bad.py", "1 / 0", "ZeroDivisionError"),
        ("script.py", "import sys\nsys.exit()", "raised SystemExit"),
    ],
    ids=["missing", "no Python", "raises", "ends itself"],
)
def test_bad_plugins(tmp_path: Path, name: str, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(InvalidInputError, match=message):
        import_plugin(str(tmp_path / name))


def test_a_plugin_that_changed_is_refused_here_and_said_of_a_run(
    request_: SearchRequest,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text("ONE = 1\n")
    request = replace(request_, plugins=(str(plugin),), trials=1)
    engine.search(request, Log())
    assert not _of_plugins(RunDirectory(tmp_path / "run"))
    plugin.write_text("ONE = 2\n")
    with pytest.raises(InvalidInputError, match="has changed since it was imported"):
        engine.resume(tmp_path / "run", Log())
    monkeypatch.delitem(sys.modules, f"autopeft_plugin:{plugin.resolve()}")  # as in another process
    for _ in range(2):
        engine.resume(tmp_path / "run", Log())
        assert _of_plugins(RunDirectory(tmp_path / "run"))


def _of_plugins(run: RunDirectory) -> list[str]:
    return [note for note in run.settings("data_notes")["data_notes"] if "mine.py has changed since the run began" in note]


@pytest.fixture(params=[0, 1], ids=["here", "a worker"])
def place(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Settings of where trials run."""
    return {"workers": 1, "address": request.getfixturevalue("ray_address")} if request.param else {"workers": 0}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::FutureWarning")
def test_an_own_method_is_searched(
    request_: SearchRequest,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: dict[str, Any],
) -> None:
    monkeypatch.setattr(registry, "_METHODS", dict(registry._METHODS))
    monkeypatch.delitem(sys.modules, f"autopeft_plugin:{EXAMPLE.resolve()}", raising=False)
    space = tmp_path / "space.yaml"
    space.write_text("modules:\n  - {method: output_factor, size: [1]}\ntraining:\n  learning_rate: {low: 1.0e-3, high: 1.0e-2}\n")
    run = engine.search(replace(request_, plugins=(str(EXAMPLE),), space=str(space), trials=2, **place), Log())
    records = StudyReader.open(run).records()
    assert {record.state for record in records} == {"complete"}
    assert {record.trainable_parameters for record in records} <= {0, 32, 64, 96}


BROKEN = """
from autopeft.methods.method import Method
from autopeft.methods.registry import register_method


class OwnError(Exception):
    pass


def inject(model, module, topology):
    if 1 in module.layers:
        raise OwnError("not in layer 1")
    [][0]


register_method(
    Method("broken", "representation", "fails", "none", inject=inject, count=lambda module, topology: len(module.layers))
)
"""


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::FutureWarning")
def test_whatever_an_own_method_raises_fails_its_trial_and_no_other(
    request_: SearchRequest,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: dict[str, Any],
) -> None:
    monkeypatch.setattr(registry, "_METHODS", dict(registry._METHODS))
    (tmp_path / "broken.py").write_text(BROKEN)
    space = tmp_path / "space.yaml"
    space.write_text("modules:\n  - {method: broken, size: [1]}\ntraining:\n  learning_rate: {low: 1.0e-3, high: 1.0e-2}\n")
    request = replace(request_, plugins=(str(tmp_path / "broken.py"),), space=str(space), trials=6, max_failed=1.0, **place)
    run = engine.search(request, Log())
    records = StudyReader.open(run).records()
    assert [record.state for record in records] == ["failed"] * 6
    assert {record.error for record in records} == {"OwnError: not in layer 1", "IndexError: list index out of range"}
    assert "in inject" in (run.trial_path(0) / "error.txt").read_text()
