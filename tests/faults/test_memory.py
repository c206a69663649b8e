"""Workers run into their memory limit because trials leave memory behind; the search goes on in fresh ones."""

import sys
from pathlib import Path

import pytest

from tests.faults.driver import Driver, require_whole

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a process's memory is bounded as Linux does it"),
]

LEAKING = Path(__file__).with_name("leaking.py")
"""Given to the search by its path: imported here, it would stand in the registry that all other tests read."""

SPACE = """
description: "A method that leaks"
layers: shared
modules:
  - method: leaking
    size: [0, 1]
training:
  learning_rate: {low: 1.0e-4, high: 1.0e-2, log: true}
"""


def test_workers_leak_to_their_limit(settings: list[object], tmp_path: Path) -> None:
    space = tmp_path / "leaking.yaml"
    space.write_text(SPACE)
    options = [*settings, "--trials", 12, "--workers", 2, "--space", space, "--plugin", LEAKING]
    driver = Driver(options, tmp_path / "run")
    driver.finish()
    require_whole(driver, 12, {})
    assert [record.state for record in driver.records()] == ["complete"] * 12, [record.error for record in driver.records()]
