"""Which configurations are good on every task: a greedy choice, from trainings that were done before."""

import json
from pathlib import Path

from tests.benchmarks.conftest import Benchmark

VALUES = {"lora": (0.90, 0.70), "bitfit": (0.70, 0.90), "mam": (0.85, 0.85)}


def row(task: str, name: str, value: float, factor: float = 1.0, seed: int = 0) -> str:
    return json.dumps({"task": task, "budget": "low", "name": name, "factor": factor, "seed": seed, "value": value}) + "\n"


def test_it_takes_what_adds_most_to_what_it_took(run_benchmark: Benchmark, tmp_path: Path) -> None:
    out = tmp_path / "rows.jsonl"
    lines = [row(task, name, values[at]) for name, values in VALUES.items() for at, task in enumerate(("sst2", "trec"))]
    lines += [row("sst2", "lora", 0.99, factor=2.0)]  # a factor of one task alone is not compared
    out.write_text("".join(lines))
    answer = run_benchmark("candidates", "--print", "--out", str(out))
    assert answer.code == 0, answer.err
    first, *cells, greedy, without_sst2, without_trec = answer.out.splitlines()
    assert first.split()[:3] == ["low", "sst2", "trec"]
    assert {line.split()[0]: line.split()[-1] for line in cells} == {"mam": "0.0500", "lora": "0.1000", "bitfit": "0.1000"}
    assert greedy == "greedy: mam, lora, bitfit"
    assert without_sst2.startswith("greedy without sst2: bitfit, ")
    assert without_trec.startswith("greedy without trec: lora, ")


def test_each_candidate_counts_at_its_best_factor(run_benchmark: Benchmark, tmp_path: Path) -> None:
    out = tmp_path / "rows.jsonl"
    out.write_text(row("trec", "lora", 0.80) + row("trec", "lora", 0.90, factor=2.0) + row("trec", "lora", 0.92, factor=2.0, seed=1))
    assert "0.9100" in run_benchmark("candidates", "--print", "--out", str(out)).out.splitlines()[1]
