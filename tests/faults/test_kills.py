"""Processes die at random moments; the run goes on as if nothing had happened."""

import os
import random
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from autopeft.study.record import TrialRecord
from tests.faults.driver import PATIENCE, Driver, kill, require_whole, wait_until, workers_of

pytestmark = pytest.mark.faults

N_KILLS = 5
"""Of each kind."""


@pytest.mark.parametrize("rungs", [(), ("--rungs", "0.5")], ids=["without rungs", "with rungs"])
def test_the_driver_is_killed(settings: list[object], tmp_path: Path, rungs: tuple[str, ...]) -> None:
    rng = random.Random(0)
    driver = Driver([*settings, "--trials", 40, "--workers", 0, *rungs], tmp_path / "run")
    announced = {}
    for kills in range(N_KILLS):
        process = driver.start()
        aim = driver.n_begun() + (rng.randint(1, 5) if kills else 0)
        running = wait_until(lambda aim=aim: driver.n_begun() >= aim, process)
        assert running, process.communicate()[0]
        time.sleep(rng.random() * (0.3 if kills else 2.0))  # the first dies while it starts
        assert process.poll() is None, process.communicate()[0]
        kill(process)
        announced |= {number: row for number, row in driver.ended().items() if row["state"] != "stopped"}
    driver.finish()
    require_whole(driver, 40, announced)


def test_the_driver_is_killed_while_it_confirms(settings: list[object], tmp_path: Path) -> None:
    rng = random.Random(2)
    options = [*settings, "--trials", 5, "--workers", 0, "--confirm", 4]
    whole, broken = Driver(options, tmp_path / "whole"), Driver(options, tmp_path / "broken")
    whole.finish()
    confirmed: dict[int, object] = {}
    for kills in range(3):
        process = broken.start()
        assert wait_until(lambda n=kills + 1: sum(row["confirmed"] for row in broken.ended().values()) >= n, process)
        time.sleep(rng.random() * 0.2)
        kill(process)
        now = {number: row["full_budget"] for number, row in broken.ended().items() if row["confirmed"]}
        assert confirmed.items() <= now.items()
        confirmed = now
    broken.finish()
    found = [[(one.configuration, dict(one.metrics), _at_full_budget(one)) for one in driver.records()] for driver in (whole, broken)]
    assert found[0] == found[1]
    assert sum(one.confirmed for one in broken.records()) == 4


def _at_full_budget(record: TrialRecord) -> dict[str, float] | None:
    return None if record.confirmation is None else dict(record.confirmation.metrics)


def test_workers_are_killed_again_and_again(settings: list[object], tmp_path: Path) -> None:
    rng = random.Random(1)
    driver = Driver([*settings, "--trials", 20, "--workers", 2, "--epochs", 10], tmp_path / "run")
    process = driver.start()
    n_kills = 0
    while n_kills < N_KILLS:
        assert wait_until(lambda: bool(workers_of(process)), process), process.communicate()[0]
        time.sleep(rng.random() * 0.5)
        for worker in workers_of(process)[:1]:
            with suppress(psutil.NoSuchProcess):
                worker.kill()
                n_kills += 1
    printed, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, printed
    require_whole(driver, 20, {})
    reasons = {record.error for record in driver.records() if record.state == "failed"}
    assert reasons <= {"the worker process died, perhaps out of memory"}


def test_a_worker_that_hangs_is_given_up(settings: list[object], tmp_path: Path) -> None:
    driver = Driver([*settings, "--trials", 12, "--workers", 2, "--epochs", 10, "--trial-timeout", 15], tmp_path / "run")
    process = driver.start()
    assert wait_until(lambda: bool(workers_of(process)), process), process.communicate()[0]
    hanging = workers_of(process)[0]
    hanging.suspend()
    printed, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, printed
    assert not hanging.is_running()
    require_whole(driver, 12, {})
    assert [record.error for record in driver.records() if record.state == "failed"] == ["it ran longer than 15 s (--trial-timeout)"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_terminated_search_ends_as_an_uninterrupted_one(settings: list[object], tmp_path: Path, number: signal.Signals) -> None:
    options = [*settings, "--trials", 15, "--workers", 0]
    whole, broken = Driver(options, tmp_path / "whole"), Driver(options, tmp_path / "broken")
    whole.finish()
    process = broken.start()
    assert wait_until(lambda: len(broken.ended()) >= 5, process)
    process.send_signal(number)
    printed, _ = process.communicate(timeout=PATIENCE)
    assert "--resume" in printed
    broken.finish()
    found = [[(record.configuration, dict(record.metrics)) for record in driver.records()] for driver in (whole, broken)]
    assert found[0] == found[1]


def test_a_second_driver_is_refused(settings: list[object], tmp_path: Path) -> None:
    driver = Driver([*settings, "--trials", 200, "--workers", 0], tmp_path / "run")
    first = driver.start()
    assert wait_until(lambda: bool(driver.ended()), first)
    second = driver.start()
    printed, _ = second.communicate(timeout=PATIENCE)
    assert second.returncode != 0
    assert f"process {first.pid} on" in printed
    kill(first)


def test_torn_writes(settings: list[object], tmp_path: Path) -> None:
    """What a machine that loses power leaves: half a line, half an adapter, a temporary file, and a journal beside the database."""
    driver = Driver([*settings, "--trials", 10, "--workers", 0], tmp_path / "run")
    process = driver.start()
    assert wait_until(lambda: len(driver.ended()) >= 4, process)
    kill(process)
    announced = driver.ended()
    lines = driver.run / "trials.jsonl"
    lines.write_bytes(lines.read_bytes() + b'{"trial": 3, "state": "comp')
    stray = driver.run / "trials" / "9" / "adapter"
    stray.mkdir(parents=True, exist_ok=True)
    (stray / "adapter.safetensors").write_bytes(b"\0" * 100)
    (driver.run / "front.json.tmp").write_bytes(b"{")
    driver.finish()
    require_whole(driver, 10, announced)


def _mount(folder: Path, size: str, *options: str) -> None:
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join([*options, f"size={size}"]), "tmpfs", folder], check=False)
    if done.returncode:
        pytest.skip("a small file system can't be mounted here")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root may mount a small file system")
def test_the_disk_is_full(settings: list[object], tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    _mount(small, "3m")
    try:
        driver = Driver([*settings, "--trials", 20, "--workers", 0], small / "run")
        process = driver.start()
        assert wait_until(lambda: len(driver.ended()) >= 3, process)
        ballast = small / "ballast"
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"\0" * 4096)
        printed, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode != 0
        assert "Traceback" not in printed
        assert "No space left" in printed or "disk is full" in printed
        assert "--resume" in printed
        announced = driver.ended()
        ballast.unlink()
        remounted = subprocess.run(["mount", "-o", "remount,size=64m", small], check=False)
        assert remounted.returncode == 0
        driver.finish()
        require_whole(driver, 20, announced)
    finally:
        subprocess.run(["umount", "-l", small], check=False)
