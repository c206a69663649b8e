import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.conftest import BENCHMARKS, Benchmark


def test_the_comparison_runs_and_goes_on_where_it_stopped(run_benchmark: Benchmark, tmp_path: Path) -> None:
    figures = tmp_path / "figures.jsonl"
    command = ["--samplers", "autopeft,random", "--problems", "constrained"]
    command += ["--seeds", "1", "--evaluations", "18", "--json", figures, "--plot", tmp_path / "plot.html"]
    first, again = (run_benchmark("samplers", *command) for _ in range(2))
    assert first.code == again.code == 0, first.err
    assert first.out == again.out
    assert len(figures.read_text().splitlines()) == 2
    assert (tmp_path / "plot.html").stat().st_size > 1000
    assert [json.loads(line)["sampler"] for line in figures.read_text().splitlines()] == ["autopeft", "random"]


def test_runs_that_took_hours_are_kept(run_benchmark: Benchmark, tmp_path: Path) -> None:
    kept = BENCHMARKS / "tables" / "samplers.jsonl"
    figures = tmp_path / "figures.jsonl"
    figures.write_text(kept.read_text())
    command = ["--samplers", "saasbo", "--problems", "tabulated", "--seeds", "5", "--evaluations", "200", "--json", figures]
    answer = run_benchmark("samplers", *command)
    assert answer.code == 0, answer.err
    assert figures.read_text() == kept.read_text()  # nothing had to be run
    assert [line.split()[1:4] for line in answer.out.splitlines()[1:]] == [["saasbo", str(mark), "5"] for mark in (16, 32, 64, 128, 200)]


def test_the_true_front_is_that_of_all_masks() -> None:
    from problems.family import REFERENCE, SyntheticSearch

    from autopeft.pareto import hypervolume

    problem = SyntheticSearch(1, n_layers=6)
    masks = np.array(list(product((0.0, 1.0), repeat=6)))[1:]
    rng = np.random.default_rng(0)
    for levels in rng.integers(10, size=(20, 3)):
        sizes = np.tile([float(problem.sizes[family][level]) for family, level in enumerate(levels)], (len(masks), 1))
        losses = problem._losses(sizes, masks, problem._best_rate(sizes, masks))
        # The front dominates everything that there is, and is reached.
        assert hypervolume(np.concatenate([problem.true_front, losses]), REFERENCE) == pytest.approx(problem.best_hypervolume, rel=1e-9)
        best = problem._best_capacities(sizes[:1])[:, 0]
        capacities = problem._capacity(sizes, masks)
        assert best[1:] == pytest.approx([capacities[masks.sum(axis=1) == n].max() for n in range(1, 7)])
