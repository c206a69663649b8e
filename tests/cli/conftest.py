"""The command line as a user meets it: a process of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Answer:
    """What a command left behind."""

    code: int
    out: str
    err: str
    seconds: float


@pytest.fixture
def autopeft() -> Callable[..., Answer]:
    """Run `autopeft` with some arguments; keyword arguments are environment variables."""

    def run(*arguments: object, **environment: str) -> Answer:
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "autopeft", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env={**{name: value for name, value in os.environ.items() if name != "AUTOPEFT_DATA"}, **environment},
        )
        return Answer(done.returncode, done.stdout, done.stderr, time.monotonic() - began)

    return run
