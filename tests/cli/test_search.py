import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from autopeft.cli.main import app
from autopeft.errors import InvalidInputError
from autopeft.loops import planning
from autopeft.portfolio.entries import entries
from autopeft.request import SearchRequest
from tests.cli.conftest import Autopeft
from tests.programs import interruptible, run_script_here, wait_until


@pytest.fixture
def own(pairs: tuple[Path, Path], backbone_folder: Path, tmp_path: Path) -> list[str]:
    files = ["--train", str(pairs[0]), "--validation", str(pairs[1]), "--text", "a,b", "--label", "label"]
    budget = ["--epochs", "1", "--batch-size", "16", "--max-length", "24"]
    return ["search", *files, *budget, "--model", str(backbone_folder), "--workers", "0", "--out", str(tmp_path / "run")]


def test_search_show_plot_export(autopeft: Autopeft, own: list[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    answer = autopeft(*own, "--trials", "3")
    assert answer.code == 0, answer.err
    assert "Pareto front" in answer.out
    assert answer.err.count("trial ") >= 3
    assert "1 epoch, batch 16" in answer.err
    assert re.search(r"about \S+ s left, done about \d\d:\d\d", answer.err)
    assert re.search(r"3 trials took \S+ s, .* of processor time; proposing them took", answer.err)

    rows = json.loads(autopeft("show", run, "--format", "json").out)
    assert sorted(row["trial"] for row in rows) == [0, 1, 2]
    keys = {"trial", "state", "on_front", "trainable_parameters", "accuracy", "seconds", "configuration"}
    assert all(keys <= row.keys() for row in rows)
    assert "Pareto front" in autopeft("show", run).out

    assert autopeft("plot", run).code == 0
    assert {path.name for path in (run / "report").iterdir()} >= {"pareto.html", "pareto.png", "pareto.svg"}

    best = next(row for row in rows if row["on_front"])
    exported = autopeft("export", run, "--trial", best["trial"], "--to", "script")
    assert exported.code == 0, exported.err
    evaluated = run_script_here(Path(exported.out.strip()) / "train.py", "--evaluate", folder=Path(exported.out.strip()))
    assert evaluated.code == 0, evaluated.err
    assert json.loads(evaluated.out)["accuracy"] == best["accuracy"]


def test_settings_know_where_they_came_from(autopeft: Autopeft, own: list[str], tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text("trials: 1\nsampler: random\nseed: 7\n")
    (tmp_path / "mine.py").write_text("")
    flags = ["--seed", "8", "--plugin", tmp_path / "mine.py"]
    answer = autopeft(*own, "--config", tmp_path / "settings.yaml", *flags, AUTOPEFT_DATA=str(tmp_path))
    assert answer.code == 0, answer.err
    settings = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]
    assert settings["trials"] == {"value": 1, "source": "file"}
    assert settings["sampler"] == {"value": "random", "source": "file"}
    assert settings["seed"] == {"value": 8, "source": "flag"}
    assert settings["plugins"] == {"value": [str(tmp_path / "mine.py")], "source": "flag"}
    assert settings["data_dir"] == {"value": str(tmp_path), "source": "environment"}
    assert settings["space"] == {"value": "default", "source": "default"}


@pytest.mark.parametrize("many", [True, False], ids=["lists", "one each"])
def test_a_file_of_settings_sets_flags_that_may_be_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, many: bool) -> None:
    asked: list[SearchRequest] = []

    def plan(request: SearchRequest) -> None:
        asked.append(request)
        raise typer.Exit

    monkeypatch.setattr(planning, "plan", plan)
    names = ["one, with a comma", "two"] if many else ["one"]
    plugins, runs = [str(tmp_path / f"{name}.py") for name in names], [str(tmp_path / name) for name in names]
    lists = {"plugins": plugins, "warm-start": runs} if many else {"plugins": plugins[0], "warm-start": runs[0]}
    settings = {"task": "demo", "start": ["lora", "mam"], **lists}
    (tmp_path / "settings.yaml").write_text(json.dumps(settings))
    answer = CliRunner().invoke(app, ["search", "--dry-run", "--config", str(tmp_path / "settings.yaml")], catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    assert (asked[0].plugins, asked[0].warm_start, asked[0].start) == (tuple(plugins), tuple(runs), ("lora", "mam"))


def test_suggestions_have_exact_counts_and_train_nothing(pairs: tuple[Path, Path], backbone_folder: Path) -> None:
    data = ["suggest", "--train", str(pairs[0]), "--text", "a,b", "--label", "label", "--model", str(backbone_folder)]

    def answer(*flags: str) -> Result:
        return CliRunner().invoke(app, [*data, *flags], catch_exceptions=False)

    rows = {row["name"]: row for row in json.loads(answer("--format", "json").stdout)}
    assert len(rows) == len(entries())
    assert rows["lora_query_value"]["trainable_parameters"] == 3 * 2 * 8 * (32 + 32)  # layers, linears, rank, widths
    assert rows["bitfit"]["configuration"]["modules"] == [{"method": "bitfit", "size": 1, "layers": [0, 1, 2]}]
    table = answer("--max-params", "3000")
    assert "lora_query_value" not in table.stdout
    assert "one_layer" in table.stdout
    assert "task head" in table.stderr
    with pytest.raises(InvalidInputError, match="leave none of the known configurations"):
        answer("--max-params", "100")


def test_a_dry_run_writes_nothing(autopeft: Autopeft, own: list[str], tmp_path: Path) -> None:
    answer = autopeft(*own, "--dry-run")
    assert answer.code == 0, answer.err
    assert answer.out.count("parameters: ") == 5
    assert "combinations" in answer.err
    assert not (tmp_path / "run").exists()


def test_objectives_bounds_and_presets_are_shown_before_the_first_trial(autopeft: Autopeft, own: list[str]) -> None:
    goals = ("--objectives", "accuracy,latency_seconds,trainable_parameters", "--max-params", "20%", "--max-memory", "8G")
    answer = autopeft(*own, "--dry-run", *goals, "--start", "lora", "--sampler", "autopeft")
    assert answer.code == 0, answer.err
    assert "goal     higher accuracy, lower latency_seconds, lower trainable_parameters" in answer.err
    assert "peak_bytes up to 8,000,000,000 bytes" in answer.err
    assert "start    lora: lora 8 [query value] in 0 1 2" in answer.err
    bound = int(answer.err.split("trainable_parameters up to ")[1].split(" ")[0].split(".")[0].replace(",", ""))
    counts = [int(line.split(" parameters: ")[0].replace(",", "")) for line in answer.out.splitlines()]
    assert counts
    assert all(0 < count <= bound for count in counts)


def test_interrupted_and_resumed(autopeft: Autopeft, own: list[str], tmp_path: Path) -> None:
    lines = tmp_path / "run" / "trials.jsonl"
    with interruptible("-m", "autopeft", *own, "--trials", "400") as process:
        wait_until(lambda: lines.exists() and lines.read_text().count("\n") >= 2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert f"autopeft search --resume {tmp_path / 'run'}" in err
    assert "Traceback" not in err
    done = lines.read_text().count("\n")
    answer = autopeft("search", "--resume", tmp_path / "run", "--trials", done + 2)
    assert answer.code == 0, answer.err
    numbers = [json.loads(line)["configuration_id"] for line in lines.read_text().splitlines()]
    assert len(numbers) == len(set(numbers)) == done + 2


def test_list_and_doctor(autopeft: Autopeft) -> None:
    tasks = json.loads(autopeft("list", "tasks", "--format", "json").out)
    assert {task["name"] for task in tasks} >= {"cola", "mnli", "mrpc", "qnli", "qqp", "rte", "sst2", "stsb", "wnli", "demo"}
    methods = {method["name"]: method for method in json.loads(autopeft("list", "methods", "--format", "json").out)}
    assert methods["lora"]["merges"] == "yes"
    assert methods["prefix"]["kind"] == "attention"
    assert "default" in autopeft("list", "spaces").out
    assert "transformers" in autopeft("doctor").out


def test_help(autopeft: Autopeft) -> None:
    answer = autopeft("--help")
    assert answer.code == 0
    assert all(verb in answer.out for verb in ("search", "show", "plot", "retrain", "baselines", "export", "list"))
    assert autopeft("--version").out.startswith("autopeft 0.")


@pytest.mark.parametrize(
    "arguments", [["search", "--task", "demo", "--dry-run"], ["retrain", "runs/x", "--pick", "best"]], ids=lambda one: one[0]
)
def test_something_is_said_before_anything_heavy_is_imported(arguments: list[str]) -> None:
    """A process of its own reports what had been imported when it first wrote."""
    code = """
import sys

class First:
    def write(self, text):
        heavy = {"torch", "optuna", "transformers", "scipy", "ray"} & set(sys.modules)
        sys.__stdout__.write(f"{text.strip()}|{sorted(heavy)}")
        sys.__stdout__.flush()
        import os
        os._exit(0)
    def flush(self): pass
    def isatty(self): return False

sys.stderr = First()
from autopeft.cli.main import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=100, check=False)
    assert done.stdout.endswith(": finding task and model ...|[]"), done
