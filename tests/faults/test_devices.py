"""Devices that are hidden, small or break, in whole searches. The GPUs are Ray's word for it: trials run on the processor."""

import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.faults.driver import PATIENCE, Driver, require_whole, wait_until

pytestmark = pytest.mark.faults

SPACE = """
description: "A method that fails the device"
layers: shared
modules:
  - method: fragile
    size: [0, 1, 2, 4]
training:
  learning_rate: {low: 1.0e-4, high: 1.0e-2, log: true}
"""
AT_ONCE_SECONDS = 60
"""Far less than a search would take to start workers that never come; importing the libraries takes seconds on a busy machine."""


@pytest.fixture
def on_cards(settings: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    monkeypatch.setenv("AUTOPEFT_TEST_FAULTS", str(tmp_path))
    (tmp_path / "space.yaml").write_text(SPACE)
    return [
        *settings,
        "--plugin",
        Path(__file__).parent / "cards.py",
        "--space",
        tmp_path / "space.yaml",
        "--start",
        "none",
        "--device",
        "cuda",
    ]


def test_a_card_fails_a_process_and_later_is_lost(on_cards: list[object], tmp_path: Path) -> None:
    driver = Driver([*on_cards, "--trials", 16, "--epochs", 10, "--trials-per-gpu", 2], tmp_path / "run")
    process = driver.start()
    assert wait_until(lambda: len(driver.ended()) >= 4, process), process.communicate()[0]
    (tmp_path / "lost-1").touch()
    (tmp_path / "poison").touch()
    printed, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, printed
    require_whole(driver, 16, {})
    records = driver.records()
    assert {record.state for record in records} == {"complete"}
    assert {record.environment["CUDA_VISIBLE_DEVICES"] for record in records} <= {"0", "1"}
    assert not (tmp_path / "poison").exists()


def test_cards_that_are_hidden(settings: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    began = time.monotonic()
    process = Driver([*settings, "--trials", 2, "--device", "cuda"], tmp_path / "run").start()
    printed, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 3
    assert "error: torch finds no GPU here" in printed
    assert time.monotonic() - began < AT_ONCE_SECONDS
    driver = Driver([*settings, "--trials", 2], tmp_path / "run")
    driver.finish()
    assert {record.environment["device"] for record in driver.records()} == {"cpu"}


def test_little_shared_memory(settings: list[object], tmp_path: Path) -> None:
    inside = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=16m tmpfs /dev/shm && exec "$@"', "sh"]
    if subprocess.run([*inside, "true"], check=False, capture_output=True).returncode:
        pytest.skip("a small file system can't be mounted here")
    driver = Driver([*settings, "--trials", 4, "--workers", 2], tmp_path / "run", inside)
    driver.finish()
    require_whole(driver, 4, {})


def test_a_search_in_workers_is_terminated(settings: list[object], tmp_path: Path) -> None:
    driver = Driver([*settings, "--trials", 12, "--workers", 2, "--epochs", 10], tmp_path / "run")
    process = driver.start()
    assert wait_until(lambda: len(driver.ended()) >= 2, process), process.communicate()[0]
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, printed
    assert "--resume" in printed
    driver.finish()
    require_whole(driver, 12, {})
