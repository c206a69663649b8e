"""Every example runs."""

import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_search_own_data(pairs: tuple[Path, Path], backbone_folder: Path, tmp_path: Path) -> None:
    arguments = [pairs[0], "--validation", pairs[1], "--text", "a,b", "--label", "label", "--model", backbone_folder]
    arguments += ["--trials", 2, "--workers", 0, "--out", tmp_path / "run"]
    done = subprocess.run(
        [sys.executable, EXAMPLES / "search_own_data.py", *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "2 trials, of which on the front:" in done.stdout
    assert (tmp_path / "run" / "exports").is_dir()
