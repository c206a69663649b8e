"""What a search hands over, against other ways to spend the same training."""

import importlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from autopeft.costs import Costs
from autopeft.request import PORTFOLIO, SearchRequest
from tests.benchmarks.conftest import Benchmark


@pytest.fixture
def benchmark() -> Iterator[ModuleType]:
    yield importlib.import_module("final_quality")
    del sys.modules["final_quality"]


@pytest.mark.slow
def test_no_way_takes_more_than_the_search_and_a_stage_is_done_once(
    benchmark: ModuleType, small_request: SearchRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = replace(small_request, trials=8, confirm=2, start=(PORTFOLIO,))
    case = benchmark.Case(tmp_path / "seed-0", request, "accuracy")
    ways = {name: benchmark.stage(case, name, work) for name, work in benchmark.WAYS.items()}
    cost = ways["search"].costs.examples_seen
    assert cost >= (8 + 2 * 6) * 48
    for way in ways.values():
        assert 0 < way.costs.examples_seen <= cost
        assert way.costs.cpu_seconds > 0
        assert way.trained
    assert len(ways["search"].trained) == len(ways["baselines"].trained) == 2
    assert len({one.configuration for one in ways["sweep"].trained}) == len(ways["sweep"].trained) == cost // (6 * 48)
    rows = {row["way"]: row for row in benchmark.compared(case, ways.values())}
    assert rows.keys() == ways.keys()
    assert all(row["best_validation"] == max(one.validation for one in ways[name].trained) for name, row in rows.items())
    assert max(row["hypervolume_validation"] for row in rows.values()) <= 1
    assert "best accuracy" in benchmark.described({"task": "own", "seed": 0, **rows["sweep"]}, "accuracy")

    def never(case: object) -> None:
        raise AssertionError("it was done")

    assert {name: benchmark.stage(case, name, never) for name in ways} == ways


def test_hypervolume_is_a_share_of_what_all_reach_together(benchmark: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "search"
    folder.mkdir()
    (folder / "run.json").write_text(
        '{"format_version": 1, "objectives": [{"name": "accuracy", "direction": "maximize"}], "trivial_scores": {"accuracy": 0.5}, '
        '"backbone_parameters": 10000}'
    )
    case = benchmark.Case(tmp_path, None, "accuracy")
    small, large = benchmark.Trained("small", 10, 0.7, 0.6), benchmark.Trained("large", 1000, 0.9, 0.9)
    ways = [benchmark.Way("one", Costs(), (small,)), benchmark.Way("other", Costs(), (large,)), benchmark.Way("none", Costs(), ())]
    rows = benchmark.compared(case, ways)
    assert [row["way"] for row in rows] == ["one", "other"]
    np.testing.assert_allclose([row["hypervolume_validation"] for row in rows], [0.6 / 0.8, 0.4 / 0.8])  # 0.2 x 3, 0.4 x 1, both 0.8
    np.testing.assert_allclose([row["hypervolume_test"] for row in rows], [0.3 / 0.6, 0.4 / 0.6])


def test_examples_are_cut_and_written_with_the_names_of_their_classes(benchmark: ModuleType, tmp_path: Path) -> None:
    case = benchmark.prepare(tmp_path / "demo", "demo", 0, benchmark.QUICK)
    rows = (tmp_path / "demo" / "train.jsonl").read_text().splitlines()
    assert len(rows) == 40
    assert case.request.kind == "classification"
    from autopeft.loops.data import load_data

    data = load_data(case.request, with_test=True)
    assert (len(data.train), len(data.validation)) == (40, 24)


def test_an_unknown_task_is_refused(run_benchmark: Benchmark) -> None:
    assert run_benchmark("final_quality", "--tasks", "cola").code == 2
