"""What is uploaded: the wheel and the sdist that hatchling builds."""

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from tests.programs import run_fresh

pytest.importorskip("hatchling", reason="needs hatchling, which builds the packages: pip install 'autopeft[dev]'")
ROOT = Path(__file__).parents[1]


def build(source: Path, out: Path) -> dict[str, str]:
    """Return the hash of each file that is built."""
    answer = run_fresh("-m", "hatchling", "build", "-d", out, folder=source, SOURCE_DATE_EPOCH="1767225600")
    assert answer.code == 0, answer.err
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(out.iterdir())}


def test_wheel_and_sdist_are_the_same_from_another_folder_at_another_time(tmp_path: Path) -> None:
    ignored = shutil.ignore_patterns(".git", "__pycache__", ".*_cache", "runs", "node_modules", "shared")
    copies = [shutil.copytree(ROOT, tmp_path / name, ignore=ignored) for name in ("one", "another")]
    for path in copies[1].rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    first, second = (build(copy, tmp_path / f"{copy.name}-built") for copy in copies)
    assert [name.rpartition(".")[2] for name in first] == ["whl", "gz"]
    assert first == second
