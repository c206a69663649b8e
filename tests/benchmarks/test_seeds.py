"""What another seed makes of a configuration of a table."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
LORA = {"modules": [{"method": "lora", "size": 1, "layers": [0], "targets": ["query"]}], "training": {"learning_rate": 0.001}}


def seeds(*arguments: Path | str) -> str:
    command = [sys.executable, BENCHMARKS / "seeds.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout


def test_configurations_are_trained_again_with_new_seeds(tmp_path: Path) -> None:
    table, out = tmp_path / "table.jsonl", tmp_path / "seeds.jsonl"
    rows = [
        {"configuration": LORA | {"training": {"learning_rate": rate}}, "curve": [{"accuracy": rate}]} for rate in (0.003, 0.001, 0.002)
    ]
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = ["--task", "demo", "--train-examples", "32", "--tables", table, "--configurations", "2", "--seeds", "2", "--out", out]
    first, again = seeds(*given), seeds(*given)
    assert first == again
    found = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["configuration"]["training"]["learning_rate"] for row in found] == [0.001, 0.003, 0.001, 0.003]
    assert len({row["seed"] for row in found}) == 2
    assert found[0]["curve"] != found[2]["curve"]  # of one configuration, but not of one seed


def test_the_deviation_between_seeds_is_pooled(tmp_path: Path) -> None:
    table, out = tmp_path / "table.jsonl", tmp_path / "seeds.jsonl"
    measured = np.random.default_rng(0).normal(0.7, 0.02, size=(3, 4)).round(5)
    table.write_text("".join(json.dumps({"configuration": LORA, "curve": [{"accuracy": 0.7}]}) + "\n" for _ in range(4)))
    out.write_text("".join(json.dumps({"curve": [{"accuracy": value}]}) + "\n" for value in measured.flat))
    (line,) = seeds("--tables", table, "--configurations", "4", "--seeds", "3", "--metrics", "accuracy", "--out", out).splitlines()
    pooled, better = (np.sqrt(some.var(axis=0, ddof=1).mean()) for some in (measured, measured[:, 2:]))
    assert f"all {pooled:.4f} [" in line
    assert f"better half {better:.4f} [" in line
    failed = [json.dumps({"error": "out of memory"}), *out.read_text().splitlines()[1:]]
    out.write_text("\n".join(failed))
    (line,) = seeds("--tables", table, "--configurations", "4", "--seeds", "3", "--metrics", "accuracy", "--out", out).splitlines()
    assert f"all {np.sqrt(measured[:, 1:].var(axis=0, ddof=1).mean()):.4f} [" in line
