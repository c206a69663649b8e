"""Every mistake a user can make is one clear message within seconds, exit code 2 or 3, and never a traceback."""

import errno
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants
from typer.testing import CliRunner

from autopeft.cli import main
from autopeft.cli.main import app
from autopeft.errors import UnavailableError
from autopeft.request import SearchRequest
from autopeft.study.directory import RunDirectory
from tests.cli.conftest import Autopeft
from tests.programs import Answer

LONG = "x" * 300
MAX_CPU_SECONDS = 20
"""Until an error: a fresh interpreter takes some 3 s of processor time for imports, and more where two share a core."""


def refused(answer: Answer, code: int, *parts: str) -> None:
    assert answer.code == code, answer.err
    assert "Traceback" not in answer.err
    assert answer.out == ""
    for part in parts:
        assert part in answer.err
    assert answer.err.count("error: ") == 1
    assert answer.cpu_seconds < MAX_CPU_SECONDS


@pytest.fixture
def own(pairs: tuple[Path, Path], tmp_path: Path) -> list[str]:
    out = str(tmp_path / "run")
    return ["search", "--train", str(pairs[0]), "--validation", str(pairs[1]), "--text", "a,b", "--label", "label", "--out", out]


def test_unknown_task(autopeft: Autopeft) -> None:
    refused(autopeft("search", "--task", "mprc"), 2, "unknown task", "'mprc'", "Did you mean 'mrpc'?")


def test_missing_column(autopeft: Autopeft, own: list[str]) -> None:
    refused(autopeft(*own, "--label", "lable"), 2, "train.csv", "'lable'", "Did you mean 'label'?")


def test_label_of_the_wrong_type(autopeft: Autopeft, own: list[str]) -> None:
    refused(autopeft(*own, "--kind", "regression"), 2, "train.csv, line 2", "label", "number")


def test_empty_file(autopeft: Autopeft, own: list[str], tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_bytes(b"")
    refused(autopeft(*own, "--train", tmp_path / "empty.csv"), 2, "empty.csv", "empty")


def test_unreadable_yaml(autopeft: Autopeft, own: list[str], tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text("modules: [\n")
    refused(autopeft(*own, "--space", tmp_path / "space.yaml"), 2, "space.yaml", "line", "not valid YAML")


def test_unknown_method(autopeft: Autopeft, own: list[str], tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text("modules:\n  - method: lorra\n    size: [8]\ntraining:\n  learning_rate: 0.001\n")
    refused(autopeft(*own, "--space", tmp_path / "space.yaml"), 2, "line 2", "'lorra'", "Did you mean 'lora'")


def test_no_trials(autopeft: Autopeft, own: list[str]) -> None:
    refused(autopeft(*own, "--trials", "0"), 2, "--trials", "1 or more", "0")


def test_a_model_folder_without_weights(autopeft: Autopeft, own: list[str], backbone_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    shutil.copy(backbone_folder / "config.json", tmp_path / "model")
    refused(autopeft(*own, "--model", tmp_path / "model"), 2, "model.safetensors", str(tmp_path / "model"))


def test_an_output_folder_in_use(autopeft: Autopeft, own: list[str], tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("precious")
    refused(autopeft(*own), 2, "output folder is in use", "--out", "--resume")
    assert (tmp_path / "run" / "mine.txt").read_text() == "precious"


@pytest.fixture(params=[False, True], ids=["no route", "a server that never answers"])
def unreachable_hub(request: pytest.FixtureRequest) -> Iterator[str]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if request.param:
            server.listen()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


UNREACHABLE_DATA = ("--data-dir", "AUTOPEFT_DATA", "--task demo")
UNREACHABLE_MODEL = ("some/model", "--model PATH", "hf download some/model")


@pytest.mark.parametrize("what", ["data", "model"])
def test_an_unreachable_hub(
    autopeft: Autopeft, own: list[str], tmp_path: Path, unreachable_hub: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The hub's client has read its variables by now.
    monkeypatch.setattr(constants, "ENDPOINT", unreachable_hub)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    if what == "data":
        refused(autopeft("search", "--task", "rte", "--out", tmp_path / "run"), 3, *UNREACHABLE_DATA)
    else:
        refused(autopeft(*own, "--model", "some/model"), 3, *UNREACHABLE_MODEL)


@pytest.mark.parametrize("unreachable_hub", [True], ids=["a server that never answers"], indirect=True)
def test_a_process_ends_although_the_hub_never_answers(autopeft_process: Autopeft, tmp_path: Path, unreachable_hub: str) -> None:
    environment = {"HF_ENDPOINT": unreachable_hub, "HF_HOME": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "0"}
    refused(autopeft_process("search", "--task", "rte", "--out", tmp_path / "run", **environment), 3, *UNREACHABLE_DATA)


def test_an_unknown_flag_and_a_word_for_a_number(autopeft: Autopeft) -> None:
    for arguments in (["search", "--tusk", "demo"], ["search", "--task", "demo", "--trials", "many"]):
        answer = autopeft(*arguments)
        assert answer.code == 2
        assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "--train", f"{LONG}.csv"],
        ["search", "--task", LONG],
        ["search", "--task", "demo", "--model", LONG],
        ["search", "--task", "demo", "--out", LONG],
        ["search", "--task", "demo", "--plugin", f"{LONG}.py", "--dry-run"],
        ["search", "--task", "mrpc", "--data-dir", LONG],
        ["search", "--resume", LONG],
        ["show", LONG],
        ["predict", LONG, "--input", "t.csv"],
        ["search", "--dataset", LONG, "--offline"],
        ["search", "--dataset", "../x", "--offline"],
    ],
    ids=lambda arguments: " ".join(arguments).replace(LONG, "LONG"),
)
def test_a_name_that_is_too_long_or_none(autopeft: Autopeft, arguments: list[str]) -> None:
    refused(autopeft(*arguments), 2, "named as owner/name" if "--dataset" in arguments else "File name too long")


def test_an_unknown_setting_in_a_file(autopeft: Autopeft, tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text("trails: 3\n")
    refused(autopeft("search", "--config", tmp_path / "settings.yaml"), 2, "'trails'", "Did you mean 'trials'")


@pytest.mark.parametrize("content", ["trials: 2026-13-45", "trials: !!bool x", "trials: !!timestamp x", "trials: " + "[" * 3000])
@pytest.mark.parametrize("flag", ["--config", "--space"])
def test_values_that_yaml_can_t_make(autopeft: Autopeft, own: list[str], tmp_path: Path, flag: str, content: str) -> None:
    (tmp_path / "own.yaml").write_text(content)
    refused(autopeft(*own, flag, tmp_path / "own.yaml"), 2, "own.yaml")


@pytest.mark.parametrize(
    "verb", [["show"], ["plot"], ["export", "--trial", "0", "--to", "script"], ["search", "--resume"]], ids=lambda verb: verb[0]
)
def test_a_folder_that_is_no_run(autopeft: Autopeft, tmp_path: Path, verb: list[str]) -> None:
    refused(autopeft(*verb, tmp_path), 2, "run.json", str(tmp_path))


def test_a_resumed_run_keeps_its_settings(autopeft: Autopeft, tmp_path: Path) -> None:
    remedy = "Leave --epochs out"
    run = RunDirectory.create(tmp_path / "run")
    run.write_settings({"settings": SearchRequest(task="demo").to_settings({})})
    refused(autopeft("search", "--resume", run.path, "--epochs", "3"), 2, "only --trials, --confirm, --time-limit,", "can change", remedy)


def test_a_cluster_that_is_not_there(autopeft: Autopeft, own: list[str], backbone_folder: Path) -> None:
    refused(autopeft(*own, "--model", backbone_folder, "--address", "ray://127.0.0.1:1"), 3, "no Ray cluster answers", "--address")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--task", "demo", "--quantization", "nf4"], ["No such option", "--quantization"]),
        (["--train", "t.csv", "--text", "a", "--label", "b", "--kind", "summarization"], ["unknown kind of task", "Known: "]),
        (["--task", "demo", "--train", "t.csv"], ["both are given: --task and --train", "Leave out --task, or --train"]),
        (["--task", "demo", "--label", "b"], ["both are given: --task and --label"]),
        (["--dataset", "a/b", "--train", "t.csv"], ["both are given: --dataset and --train", "--splits train=NAME"]),
        (["--train", "t.csv", "--splits", "train=a"], ["--splits are those of a data set of the hub"]),
    ],
    ids=["flag", "kind", "task and file", "task and column", "data set and file", "splits of a file"],
)
def test_nothing_is_proposed_that_is_another_thing(arguments: list[str], parts: list[str]) -> None:
    answer = CliRunner().invoke(app, ["search", *arguments])
    said = answer.output + str(answer.exception)
    assert answer.exit_code != 0
    assert all(part in said for part in parts), said
    assert "Did you mean" not in said


def test_a_flag_that_is_nearly_spelled_is_proposed() -> None:
    answer = CliRunner().invoke(app, ["search", "--task", "demo", "--trails", "3"])
    assert answer.exit_code == 2
    # How it is put depends on how many flags are near, --train among them.
    assert "Did you mean" in answer.output or "Possible options" in answer.output
    assert "--trials" in answer.output


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_file_without_room_is_one_line_whichever_verb_writes_it(
    code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def write() -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(main, "app", write)
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == UnavailableError.exit_code
    assert capsys.readouterr().err == f"error: a file can't be written: {os.strerror(code)}. Make room, then try again.\n"


def test_help_is_written_where_the_terminal_claims_no_width(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "0")
    monkeypatch.setattr("sys.argv", ["autopeft", "--help"])
    with pytest.raises(SystemExit):
        main.main()
    assert "search" in capsys.readouterr().out
