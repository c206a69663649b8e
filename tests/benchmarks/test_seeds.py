"""What another seed makes of a configuration of a table."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.conftest import Benchmark

LORA = {"modules": [{"method": "lora", "size": 1, "layers": [0], "targets": ["query"]}], "training": {"learning_rate": 0.001}}


@pytest.fixture
def seeds(run_benchmark: Benchmark) -> Callable[..., str]:
    def run(*arguments: Path | str) -> str:
        answer = run_benchmark("seeds", *arguments)
        assert answer.code == 0, answer.err
        return answer.out

    return run


def test_configurations_are_trained_again_with_new_seeds(seeds: Callable[..., str], tmp_path: Path) -> None:
    table, out = tmp_path / "table.jsonl", tmp_path / "seeds.jsonl"
    rows = [
        {"configuration": LORA | {"training": {"learning_rate": rate}}, "curve": [{"accuracy": rate}]} for rate in (0.003, 0.001, 0.002)
    ]
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = ["--task", "demo", "--train-examples", "16", "--tables", table, "--configurations", "2", "--seeds", "2", "--out", out]
    first, again = seeds(*given), seeds(*given)
    assert first == again
    found = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["configuration"]["training"]["learning_rate"] for row in found] == [0.001, 0.003, 0.001, 0.003]
    assert len({row["seed"] for row in found}) == 2
    assert found[0]["curve"] != found[2]["curve"]  # of one configuration, but not of one seed


def test_the_deviation_between_seeds_is_pooled(seeds: Callable[..., str], tmp_path: Path) -> None:
    table, out = tmp_path / "table.jsonl", tmp_path / "seeds.jsonl"
    configurations = [LORA | {"training": {"learning_rate": rate}} for rate in (0.001, 0.002, 0.003, 0.004)]
    table.write_text("".join(json.dumps({"configuration": one, "curve": [{"accuracy": i}]}) + "\n" for i, one in enumerate(configurations)))
    measured = np.random.default_rng(0).normal(0.7, 0.02, size=(3, 4)).round(5)
    rows = [
        {
            "configuration": configurations[i],
            "seed": 10**6 + seed,
            "curve": [dict.fromkeys(("accuracy", "average_precision", "loss"), value)],
        }
        for (seed, i), value in np.ndenumerate(measured)
    ]
    given = ["--tables", table, "--configurations", "4", "--seeds", "3", "--out", out]
    out.write_text("".join(json.dumps(row) + "\n" for row in rows[::-1]))  # the order doesn't count
    line = seeds(*given).splitlines()[0]
    pooled, better = (np.sqrt(some.var(axis=0, ddof=1).mean()) for some in (measured, measured[:, 2:]))
    assert f"all {pooled:.4f} [" in line
    assert f"better half {better:.4f} [" in line
    rows[0] = {"configuration": configurations[0], "seed": 10**6, "error": "out of memory"}
    out.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert f"all {np.sqrt(measured[:, 1:].var(axis=0, ddof=1).mean()):.4f} [" in seeds(*given).splitlines()[0]


@pytest.mark.parametrize(("option", "said"), [("--seeds", "needs two"), ("--configurations", "hold 1 configurations, not 2")])
def test_what_tells_nothing_is_refused(run_benchmark: Benchmark, tmp_path: Path, option: str, said: str) -> None:
    table = tmp_path / "table.jsonl"
    table.write_text(json.dumps({"configuration": LORA, "curve": [{"accuracy": 0.7}]}) + "\n")
    given = {"--configurations": "1", "--seeds": "2"} | {option: "1" if option == "--seeds" else "2"}
    answer = run_benchmark("seeds", "--tables", table, "--out", tmp_path / "out.jsonl", *(word for pair in given.items() for word in pair))
    assert answer.code == 2
    assert said in answer.err
