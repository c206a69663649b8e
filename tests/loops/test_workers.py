import os

import pytest

from autopeft.loops.workers import count_workers


def test_there_are_as_many_workers_as_cores_that_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3}, raising=False)
    assert count_workers(None) == 1
    assert (count_workers(0), count_workers(5)) == (0, 5)
