"""The problem that real learning curves make, and the comparison of rungs on it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autopeft.configuration import Configuration
from autopeft.loops.planning import plan
from autopeft.request import SearchRequest
from tests.benchmarks.conftest import Benchmark

PROGRESS = (0.1667, 0.3333, 0.5, 1.0)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of the form that curves.py writes, of a metric that grows with the number of layers."""
    planned = plan(SearchRequest(task="demo", workers=0, space="four_modules"))
    rng = np.random.default_rng(0)
    rows = []
    while len(rows) < 40:
        configuration = planned.space.configuration(planned.space.sample(rng))
        if not configuration.modules:
            continue
        layers = {layer for module in configuration.modules for layer in module.layers or ()}
        end = 0.6 + 0.05 * len(layers)
        curve = [
            {"progress": at, "train_loss": 1.0, "accuracy": 0.6 + (end - 0.6) * at, "loss": 1 - end * at, "average_precision": end * at}
            for at in PROGRESS
        ]
        row = {"configuration": configuration.to_dict(), "seed": len(rows), "trainable_parameters": 1, "cpu_seconds": 10.0 * len(layers)}
        rows.append({**row, "curve": curve})
    rows.append({"configuration": rows[0]["configuration"], "seed": 99, "error": "out of memory"})
    return written(tmp_path_factory.mktemp("tables") / "made_up.jsonl", rows)


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_model_tells_what_the_table_holds(table: Path) -> None:
    from problems.tabulated import NOISE, Tabulated

    problem = Tabulated(table)
    error = problem.fit_error()
    assert error["rows"] == 40
    assert error["spearman"] > 0.8
    space, rng = problem.planned.space, np.random.default_rng(1)
    coding = problem.planned.problem
    points = [coding.to_params(space.sample(rng)) for _ in range(30)]
    points = [params for params in points if space.configuration(coding.to_point(params)).modules]
    values = np.array([problem.observe(params, rng)[0] for params in points])
    configurations = [space.configuration(coding.to_point(params)) for params in points]
    modelled = [problem.measure(one) for one in configurations]
    assert np.abs(values[:, 0] - [metric for metric, _ in modelled]).max() < 5 * NOISE
    assert values[:, 1] == pytest.approx([problem.parameters(one) for one in configurations])
    assert all(early["loss"][0] > early["loss"][-1] for _, early in modelled)
    assert all(early["average_precision"][0] < early["average_precision"][-1] for _, early in modelled)
    assert 0 < problem.reached(points[:3]) <= problem.reached(points) <= 1.001
    assert problem.reached_by(configurations) == pytest.approx(problem.reached(points))


def test_what_breaks_a_measured_bound_reaches_nothing(table: Path) -> None:
    from problems.tabulated import BoundedTabulated

    problem = BoundedTabulated(table)
    space, rng = problem.planned.space, np.random.default_rng(1)
    coding = problem.planned.problem
    points = [coding.to_params(space.sample(rng)) for _ in range(60)]
    points = [params for params in points if space.configuration(coding.to_point(params)).modules]
    excess = np.array([problem.observe(params, rng)[1]["cpu_seconds"] for params in points])
    slow, quick = ([params for params, over in zip(points, excess, strict=True) if sign * over > 5] for sign in (1, -1))
    assert slow
    assert quick
    assert problem.reached(slow) == 0
    assert 0 < problem.reached(quick) <= problem.reached(points) <= 1.001
    values, _ = problem.observe(quick[0], rng)
    assert len(values) == len(problem.directions) == 3
    assert values[2] > 0.5  # average precision


def test_rows_of_searches_teach_ends_and_seconds(table: Path, tmp_path: Path) -> None:
    from problems.tabulated import Tabulated

    closely = [row for row in map(json.loads, table.read_text().splitlines()) if "curve" in row]
    plainly = [{**row, "cpu_seconds": 1.0, "curve": row["curve"][-2:]} for row in closely]
    for row in plainly:
        row["curve"][-1] = {**row["curve"][-1], "accuracy": 0.5}
    alone, both = Tabulated(table), Tabulated(table, written(tmp_path / "searches.jsonl", plainly))
    assert both.n_rows == 2 * alone.n_rows
    configuration = Configuration.from_dict(closely[0]["configuration"])
    (metric, early), (lower, as_early) = alone.measure(configuration), both.measure(configuration)
    assert lower == pytest.approx((metric + 0.5) / 2, abs=0.02)
    assert np.diff(as_early["loss"]) == pytest.approx(np.diff(early["loss"]), abs=0.02)
    assert len(both.progress) == len(PROGRESS)


def test_rungs_are_compared(run_benchmark: Benchmark, table: Path, tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    given = ["--tables", table, "--seeds", "1", "--trials", "6", "--sampler", "random"]
    answer = run_benchmark("rungs", *given, "--ladders", "0.3333", "--reductions", "3", "--json", figures)
    assert answer.code == 0, answer.err
    without, with_rungs = json.loads(figures.read_text())["rows"]
    assert 0 < without["cost_of_mark"][0] <= 1
    assert with_rungs["at_the_end"] > 0


def test_the_surrogate_is_tried_on_what_it_has_not_seen(run_benchmark: Benchmark, table: Path, tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    answer = run_benchmark("surrogate", "--tables", table, "--noise=-2,1", "--noise=0,1", "--choices", "2", "--json", figures)
    assert answer.code == 0, answer.err
    rows = json.loads(figures.read_text())
    assert [(row["noise"], row["variant"], row["n"]) for row in rows[:2]] == [([-2, 1], "", 32), ([0, 1], "", 32)]
    assert {row["variant"] for row in rows} == {"", "averaged", "-layers", "-features", "-cost"}
    assert all(0.5 < one["R2"] <= 1 and 0 < one["within"] <= 1 for row in rows for one in row["choices"])  # accuracy is made of layers
