import os
import subprocess
import sys
from pathlib import Path

import pytest

from autopeft.errors import InvalidInputError
from autopeft.study.directory import RunDirectory
from autopeft.study.lock import driving

HOLD = """
import sys, time
from pathlib import Path
from autopeft.study.directory import RunDirectory
from autopeft.study.lock import driving
with driving(RunDirectory(Path(sys.argv[1]))):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_run_has_one_driver_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "run")
    with subprocess.Popen([sys.executable, "-c", HOLD, str(run.path)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(InvalidInputError, match=f"another process drives this run .*process {other.pid} on"), driving(run):
            pass
        other.kill()
    with driving(run):
        assert str(os.getpid()) in (run.path / "driver.json").read_text()
    with driving(run):
        pass
