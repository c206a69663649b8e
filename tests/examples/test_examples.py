"""Every example runs."""

import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(script: str, *arguments: object) -> str:
    """Run an example in a process of its own and return what it printed."""
    command = [sys.executable, EXAMPLES / script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_search_own_data(pairs: tuple[Path, Path], backbone_folder: Path, tmp_path: Path) -> None:
    arguments = [pairs[0], "--validation", pairs[1], "--text", "a,b", "--label", "label", "--model", backbone_folder]
    arguments += ["--trials", 2, "--workers", 0, "--out", tmp_path / "run"]
    assert "2 trials, of which on the front:" in run("search_own_data.py", *arguments)
    assert (tmp_path / "run" / "exports").is_dir()


def test_search_retrain_export(backbone_folder: Path, tmp_path: Path) -> None:
    arguments = ["--task", "demo", "--model", backbone_folder, "--trials", 2, "--workers", 0, "--seeds", 2, "--epochs", 1]
    printed = run("search_retrain_export.py", *arguments, "--out", tmp_path / "run")
    assert printed.count("over 2 seeds") >= 2
    assert (tmp_path / "run" / "retrained" / "retrained.json").is_file()
    assert list((tmp_path / "run" / "exports").glob("*-script-retrained/train.py"))
