"""What recipes do for few examples: what was trained already isn't trained again, and gains are between trainings of one seed."""

import json
from pathlib import Path

from tests.benchmarks.conftest import Benchmark

TESTS = {("full fine-tuning", "none"): (0.70, 0.80), ("full fine-tuning", "start"): (0.75, 0.83), ("LoRA", "none"): (0.90, 0.90)}
TESTS[("LoRA", "noise")] = (0.80, 0.90)


def test_gains_are_paired_by_seed(run_benchmark: Benchmark, tmp_path: Path) -> None:
    rows = [
        {"task": "trec", "seed": seed, "method": method, "recipes": recipes, "test": test, "cpu_seconds": 9.6}
        for (method, recipes), tests in TESTS.items()
        for seed, test in enumerate(tests)
    ]
    out = tmp_path / "recipes.jsonl"
    out.write_text("".join(json.dumps(row) + "\n" for row in rows))
    answer = run_benchmark("recipes", "--tasks", "trec", "--seeds", "2", "--out", out)
    assert answer.code == 0, answer.err
    full, start, lora, noise = answer.out.splitlines()
    assert full == "trec   full fine-tuning   none             0.750 ± 0.071 (2 seeds, 10 processor s)"
    assert start.endswith("start            0.790 ± 0.057 (2 seeds, 10 processor s), gain +0.040 ± 0.014")
    assert lora.endswith("0.900 ± 0.000 (2 seeds, 10 processor s)")
    assert noise.endswith("gain -0.050 ± 0.071")
