"""Trials an hour and memory: several trials at once in one worker, one at a time, and in a plain loop.

    AUTOPEFT_DATA=... python benchmarks/packing.py [--quick] [--model NAME] [--json FILE]

One process, one backbone, on the GPU if there is one. The same trials run k at once, and before that in a plain loop: the same modules,
batches, optimiser and evaluation with nothing of a worker around them, and no hidden states kept. All of a trial counts; a first one does
not, since it imports and warms up. Memory is the most that the GPU had allocated, or that the process was resident. MRPC, or the demo task
where it isn't there; 16 trials of 1,000 examples, k = 1, 2, 4, 8, 16, or with `--quick` 4 trials of 64 examples, k = 1, 2, 4.
"""

import argparse
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from autopeft.budget import Budget
from autopeft.configuration import Configuration, PeftModule
from autopeft.errors import UnavailableError
from autopeft.methods.compose import apply
from autopeft.tasks import TaskData, load
from autopeft.training.backbone import find_backbone
from autopeft.training.batches import training_batches
from autopeft.training.evaluate import evaluate
from autopeft.training.loop import MAX_GRADIENT_NORM, summed_loss
from autopeft.training.measurement import Assignment, RunnerSettings
from autopeft.training.metering import Meter
from autopeft.training.model import start_head
from autopeft.training.recipes.schedules import schedule
from autopeft.training.runner import TrialRunner

MIXES: list[list[tuple[str, int]]] = [
    [("lora", 8)],
    [("serial_adapter", 16), ("parallel_adapter", 4)],
    [("prefix", 8), ("lora", 4)],
    [("oft", 8)],
]
"""Modules of a trial by method and size; each stands in all layers of one trial, in the upper half of the next."""
RATE = 1e-3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--model", help="a hub id or a folder; the default backbone if not given")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    sizes = (1, 2, 4) if arguments.quick else (1, 2, 4, 8, 16)
    budget = Budget(train_examples=64 if arguments.quick else 1000, evaluation_examples=64 if arguments.quick else None, epochs=1)
    torch.set_num_threads(1)
    data = find_data()
    settings = RunnerSettings(find_backbone(arguments.model), data.task, data.train, data.validation, threads=1, pack=max(sizes))
    runner = TrialRunner(settings)
    facts = runner.describe()
    assignments = trials(max(sizes), facts.topology.n_layers, budget)
    print(f"{facts.device}, {facts.precision}, {facts.backbone_parameters:,} parameters, {len(assignments)} trials, {budget.describe()}")
    warm_up = [replace(one, budget=replace(budget, train_examples=32, evaluation_examples=32)) for one in assignments[:8]]
    for one in warm_up:
        runner.run(one)
    rows = [row("plain loop", len(assignments), *plain_loop(runner, assignments))]
    rows += [row(f"k = {k}", len(assignments), *at_once(runner, assignments, k)) for k in sizes]
    if arguments.json:
        about = {"device": facts.device, "precision": facts.precision, "budget": budget.to_dict(), "task": data.task.name}
        arguments.json.write_text(json.dumps({**about, "rows": rows}, indent=2) + "\n")


def find_data() -> TaskData:
    try:
        return load("mrpc", offline=True)
    except UnavailableError:
        print("no MRPC in AUTOPEFT_DATA: the demo task takes its place")
        return load("demo")


def trials(n: int, n_layers: int, budget: Budget) -> list[Assignment]:
    found = []
    for trial in range(n):
        layers = tuple(range(n_layers // 2 if trial // len(MIXES) % 2 else 0, n_layers))
        modules = tuple(PeftModule(method, size, layers) for method, size in MIXES[trial % len(MIXES)])
        found.append(Assignment(trial, Configuration(modules, {"learning_rate": RATE}), budget, trial))
    return found


def row(name: str, n_trials: int, seconds: float, peak_bytes: int) -> dict[str, Any]:
    found = {"name": name, "seconds": seconds, "trials_an_hour": 3600 * n_trials / seconds, "peak_bytes": peak_bytes}
    print(f"{name:<12} {seconds:8.1f} s  {found['trials_an_hour']:10,.0f} trials an hour  {peak_bytes / 1e6:10,.0f} MB", flush=True)
    return found


def at_once(runner: TrialRunner, assignments: Sequence[Assignment], k: int) -> tuple[float, int]:
    """Return the seconds and the peak memory of trials k at a time."""
    began = time.perf_counter()
    with ThreadPoolExecutor(k) as threads:
        outcomes = list(threads.map(runner.run, assignments))
    seconds = time.perf_counter() - began
    failed = [outcome.error for outcome in outcomes if outcome.error]
    assert not failed, failed
    return seconds, max(outcome.measurement.peak_bytes for outcome in outcomes if outcome.measurement)


def plain_loop(runner: TrialRunner, assignments: Sequence[Assignment]) -> tuple[float, int]:
    """Return the seconds and the peak memory of the same trials as anyone would write them."""
    model, device = runner._loaded.model, runner._device
    bfloat16 = runner.describe().precision == "bf16"
    with Meter(device).running() as bill:
        for assignment in assignments:
            train, validation = runner._data(assignment.budget)
            torch.manual_seed(assignment.seed)
            applied = apply(model, assignment.configuration, topology=runner._topology)
            try:
                start_head(model, runner._topology.head, assignment.seed, train)
                optimizer = torch.optim.AdamW(applied.trainable_parameters().values(), lr=RATE, weight_decay=0.0)
                model.train()
                batches = training_batches(train, assignment.budget.batch_size, np.random.default_rng(assignment.seed))
                for step, indices in enumerate(batches):
                    for group in optimizer.param_groups:
                        group["lr"] = RATE * schedule("linear", step, len(batches), 0.06)
                    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bfloat16):
                        loss = summed_loss(model, train, indices) / len(indices)
                    loss.backward()  # type: ignore[no-untyped-call]
                    nn.utils.clip_grad_norm_(applied.trainable_parameters().values(), MAX_GRADIENT_NORM)
                    optimizer.step()
                    optimizer.zero_grad()
                evaluate(model, validation)
            finally:
                applied.eject()
    return bill.seconds, bill.peak_bytes


if __name__ == "__main__":
    main()
