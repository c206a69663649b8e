"""The command line as a user meets it."""

from collections.abc import Callable

import pytest

from autopeft.cli.main import main
from tests.programs import Answer, run_fresh, run_here

Autopeft = Callable[..., Answer]


@pytest.fixture
def autopeft(monkeypatch: pytest.MonkeyPatch) -> Autopeft:
    """Run `autopeft` with some arguments in this interpreter; keyword arguments are environment variables."""
    monkeypatch.delenv("AUTOPEFT_DATA", raising=False)
    return lambda *arguments, **environment: run_here(main, *arguments, **environment)


@pytest.fixture
def autopeft_process(monkeypatch: pytest.MonkeyPatch) -> Autopeft:
    """Run `autopeft` in a process of its own."""
    monkeypatch.delenv("AUTOPEFT_DATA", raising=False)
    return lambda *arguments, **environment: run_fresh("-m", "autopeft", *arguments, **environment)
