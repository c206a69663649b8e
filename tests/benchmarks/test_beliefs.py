"""What a search believes of the full budget: confirmations that are hidden tell it nothing."""

import importlib
import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from autopeft.api import SilentSearch
from autopeft.loops import search as engine
from autopeft.request import SearchRequest
from autopeft.samplers.full_budget import FullBudgetProposer


@pytest.fixture
def benchmark() -> Iterator[ModuleType]:
    yield importlib.import_module("beliefs")
    del sys.modules["beliefs"]


def test_what_is_expected_follows_from_what_is_known(
    benchmark: ModuleType, small_request: SearchRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FullBudgetProposer, "_least", math.inf)  # so small a model learns little, which must not pass for nothing
    request = replace(small_request, objectives=("loss", "trainable_parameters"), trials=6, confirm=6, out=str(tmp_path / "run"))
    run = benchmark.Run(engine.search(request, SilentSearch()).path)
    assert len(run.confirmed) >= 6
    known, hidden = run.confirmed[:2], run.confirmed[2:]
    nothing, two = run.expected([], hidden), run.expected(known, hidden)
    assert nothing.shape == two.shape == (len(hidden),)
    assert not np.allclose(nothing, two)
    assert (run.full(hidden) > 0).all()
    expected, low, shortfall = benchmark.found(run, 0, draws=3)
    assert -1 <= expected <= 1
    assert -1 <= low <= 1
    assert shortfall >= 0
