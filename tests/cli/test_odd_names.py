"""Everything a user does with a run, in a folder and with files whose names mean something to shells, addresses and templates."""

import json
import shutil
from pathlib import Path

import pytest

from autopeft.request import SearchRequest
from tests.cli.conftest import Autopeft

ODD = "a%2Fb #1? 'c' \"d\" $HOME {e} [f] <g> & ü\n-h"


@pytest.mark.slow
def test_a_run_in_a_folder_of_an_odd_name(
    autopeft: Autopeft, small_request: SearchRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / ODD
    home.mkdir()
    monkeypatch.chdir(home)
    shutil.copytree(str(small_request.model), home / f"{ODD} model")
    for role in ("train", "test"):
        shutil.copy(getattr(small_request, role), home / f"{role} {ODD}.csv")
    (home / f"{ODD}.yaml").write_text("modules:\n  - {method: lora, size: [0, 2]}\ntraining: {learning_rate: 0.001}\n")
    run, files = f"runs/{ODD}", ["--train", f"train {ODD}.csv", "--test", f"test {ODD}.csv", "--text", "a,b", "--label", "label"]
    training = ["--trials", 1, "--workers", 0, "--epochs", 1, "--max-length", 24, "--confirm", 0, "--start", "none", "--sampler", "random"]

    def ok(*arguments: object) -> str:
        answer = autopeft(*arguments)
        assert answer.code == 0, answer.err
        assert "Traceback" not in answer.err
        return answer.out

    ok("check", *files)
    ok("search", *files, "--model", f"{ODD} model", "--space", f"{ODD}.yaml", "--out", run, *training)
    ok("search", "--resume", run, "--trials", 2)
    assert [row["state"] for row in json.loads(ok("show", run, "--format", "json"))] == ["complete"] * 2
    ok("retrain", run, "--trial", 0, "--seeds", 1, "--epochs", 1)
    ok("plot", run)
    ok("report", run)
    for target in ("script", "merged"):
        ok("export", run, "--trial", 0, "--to", target, "--out", f"{target} {ODD}")
    for folder, output in {run: "of a run", f"script {ODD}": "of a script", f"merged {ODD}": "of a model"}.items():
        ok("predict", folder, "--input", f"test {ODD}.csv", "--output", f"{output} {ODD}.jsonl", *(["--trial", 0] if folder == run else []))
        assert len((home / f"{output} {ODD}.jsonl").read_text().splitlines()) == 40
