"""Every block of Bash and Python in README and docs runs, or a comment before it says why it can't here: `<!-- not run: REASON -->`.

They run as written on a desk (`desk.py`) that holds the files, models and runs that they name, all tiny. Only
what would take long differs: numbers of trials, epochs and worker processes; and a share of parameters that is too few of a tiny model.
"""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from functools import partialmethod
from pathlib import Path
from typing import Any

import pytest

from autopeft.cli.main import main
from autopeft.methods import registry as methods
from autopeft.report.live import LiveServer
from autopeft.tasks import registry as tasks
from autopeft.tasks import text_scores
from autopeft.tasks.demo import generation
from autopeft.training import backbone
from tests.documentation import desk as making
from tests.documentation.pages import ROOT, Code, blocks, every
from tests.programs import run_here

MANUAL = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NOT_RUN = re.compile(r"not run: (?P<reason>.*\b(installs|cluster|Slurm|GPU|hub|packages?|program)\b.*)")
PART_NOT_RUN = re.compile(r"(?P<program>\w+) not run: it installs packages")
FRESH_MACHINE = {"fresh-machine: run": "pip not run: it installs packages", "fresh-machine: test": "not run: it installs packages"}
"""Markers by which CI finds what it runs from scratch, and what they mean here."""


def reason_of(block: Code) -> str:
    return FRESH_MACHINE.get(block.marker, block.marker)


RUN, LEFT_OUT = [], []
for block in [*every("bash", MANUAL), *every("python", MANUAL)]:
    (LEFT_OUT if NOT_RUN.fullmatch(reason_of(block)) else RUN).append(block)


def test_every_block_runs_or_says_why_not() -> None:
    languages = {block.language for page in MANUAL for block in blocks(page)}
    assert languages <= {"bash", "python", "yaml", "diff", "text", "bibtex"}, "a block in another language would run nowhere"
    assert len(RUN) > 40
    for block in RUN:
        assert "not run" not in block.marker or PART_NOT_RUN.fullmatch(block.marker), f"{block} gives no reason that counts"
    assert len(LEFT_OUT) < len(RUN) / 3, "most can run on tiny stand-ins"


@pytest.fixture(scope="session")
def places(backbone_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The cache of the hub and the desk as it is before any block."""
    place = tmp_path_factory.mktemp("documentation")
    making.make_models(place / "hub", backbone_folder)
    making.make_data_sets(place / "hub")
    (place / "desk").mkdir()
    making.make_files(place / "desk", backbone_folder)
    block = next(block for block in blocks(ROOT / "docs" / "own-method.md") if block.marker.startswith("plugin"))
    (place / "desk" / "my_space.yaml").write_text(block.text)
    with pytest.MonkeyPatch.context() as patch:
        _lend(patch, place)
        patch.chdir(place / "desk")
        making.make_runs()
    return place


def _lend(patch: pytest.MonkeyPatch, place: Path) -> None:
    from datasets import config
    from huggingface_hub import constants

    patch.setattr(constants, "HF_HUB_CACHE", str(place / "hub"))
    patch.setattr(config, "HF_DATASETS_CACHE", place / "datasets")
    patch.setattr(backbone, "DEMO_PACKAGE", "no_such_package")  # else the default model would be that of the demo package
    patch.setattr(generation, "SIZES", {"train": 24, "validation": 12, "test": 12})
    patch.setattr(methods, "_METHODS", dict(methods._METHODS))
    patch.setattr(tasks, "_ENTRIES", dict(tasks._ENTRIES))
    patch.setattr(text_scores, "_known", dict(text_scores._known))
    patch.setenv("AUTOPEFT_DATA", str(place / "desk" / "data"))


@pytest.fixture
def desk(places: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the desk, for one block."""
    _lend(monkeypatch, places)
    monkeypatch.setattr(LiveServer, "serve_forever", _interrupted)
    desk = shutil.copytree(places / "desk", tmp_path / "desk")
    monkeypatch.chdir(desk)
    return Path(desk)


def _interrupted(self: LiveServer) -> None:
    """Ctrl-C once the page is served."""
    raise KeyboardInterrupt


@pytest.mark.parametrize("block", [block for block in RUN if block.language == "bash"], ids=str)
def test_commands_run(block: Code, desk: Path) -> None:
    partly = PART_NOT_RUN.fullmatch(reason_of(block))
    for environment, command in commands(block.text):
        if command[0] == "autopeft":
            arguments = reduced(command[1:], desk)
            answer = run_here(main, *arguments, folder=desk, **environment)
            assert answer.code == 0, f"{shlex.join(arguments)}\n{answer.out}{answer.err}"
        elif partly is None or command[0] != partly["program"]:
            subprocess.run(command, cwd=desk, env={**os.environ, **environment}, check=True, timeout=60)


def commands(text: str) -> Iterator[tuple[dict[str, str], list[str]]]:
    """The commands of a block, each with the variables set for it alone."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        assert not {"|", ";", ">", "<"} & set(words), f"no shell runs this: {line}"
        while words:
            end = words.index("&&") if "&&" in words else len(words)
            command, words = words[:end], words[end + 1 :]
            variables = {}
            while "=" in command[0]:
                name, _, value = command.pop(0).partition("=")
                variables[name] = value
            yield variables, command


def reduced(arguments: list[str], desk: Path) -> list[str]:
    """A command with fewer trials, in this process; what it writes isn't there yet."""
    if "--out" in arguments:
        shutil.rmtree(desk / arguments[arguments.index("--out") + 1], ignore_errors=True)
    if "--resume" in arguments:
        return _with(arguments, {"--trials": "4"}, {})
    match arguments[0]:
        case "search" if "--dry-run" not in arguments:
            return _with(arguments, {"--trials": "2", "--workers": "0"}, {"--trials": "2", "--workers": "0", "--epochs": "1"})
        case "retrain":
            return [re.sub(r"max-params=.*", "max-params=20%", word) for word in _with(arguments, {}, {"--epochs": "1"})]
        case "baselines":
            return _with(arguments, {}, {"--epochs": "1", "--trials-per-method": "1"})
    return arguments


def _with(arguments: list[str], instead: dict[str, str], further: dict[str, str]) -> list[str]:
    """A command with other values of some flags that it has, and with some that it hasn't."""
    changed = [instead.get(before, word) for before, word in zip(["", *arguments], arguments, strict=False)]
    return changed + [word for flag, value in further.items() if flag not in arguments for word in (flag, value)]


@pytest.mark.parametrize("block", [block for block in RUN if block.language == "python"], ids=str)
def test_python_runs(block: Code, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import autopeft

    search = autopeft.search

    def quick(**given: Any) -> autopeft.SearchResult:
        return search(**{**given, "trials": 2, "epochs": 1, "workers": 0, "progress": False})

    monkeypatch.setattr(autopeft, "search", quick)
    monkeypatch.setattr(autopeft.SearchResult, "retrain", partialmethod(autopeft.SearchResult.retrain, epochs=1, progress=False))
    exec(compile(block.text, str(block), "exec"), {"__name__": "__documentation__"})
