"""What a step costs when part of a model's weights are trained, against all of them: seconds and memory.

    python benchmarks/backward.py [--steps N] [--json FILE]

A BERT of all-MiniLM-L6-v2's shape (6 layers, 384 wide) with random weights, batches of 16 x 64 tokens, AdamW, float32, one thread. Each row
is a process of its own; its memory is the most it held beyond what it held before the model was changed. Seconds are medians over the
steps, without the first; a method of two kinds of steps has a row for each.

GreenTrainer promises a share of the backward pass's FLOPs. What to expect of it is the forward pass's seconds, and that share of those
that the backward pass and the optimiser take when all is trained.
"""

import argparse
import json
import multiprocessing
import resource
import time
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import torch
from transformers import BertConfig, BertForSequenceClassification

from autopeft.configuration import Configuration, PeftModule
from autopeft.methods.compose import apply
from autopeft.training.hooks import TrainingHooks

LAYERS = tuple(range(6))
SHARES = (0.3, 0.5, 0.7)
MODULES = {
    "full_fine_tuning": PeftModule("full_fine_tuning", 1),
    **{f"greentrainer {share}": PeftModule("greentrainer", 1, options={"backward_share": share, "rounds": 2}) for share in SHARES},
    "hft": PeftModule("hft", 1, options={"rounds": 2}),
    "lt_sft, 10 in a thousand": PeftModule("lt_sft", 10, LAYERS),
    "spiel, 10 in a thousand": PeftModule("spiel", 10, LAYERS),
    "lora 8": PeftModule("lora", 8, LAYERS),
}
PARTS = ("forward", "backward", "optimiser")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=12, help="steps of each row")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    with multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as pool:
        for name in MODULES:
            rows += pool.apply(measured, (name, arguments.steps))
    full = rows[0]
    print(f"{'trained':<34}{'forward':>9}{'backward':>10}{'optimiser':>11}{'step':>8}{'of full':>9}{'expected':>10}{'memory':>10}")
    for row in rows:
        row["of_full"] = row["step"] / full["step"]
        if "share" in row:
            row["expected"] = (full["forward"] + row["share"] * (full["backward"] + full["optimiser"])) / full["step"]
        expected = f"{row['expected']:10.2f}" if "expected" in row else f"{'':10}"
        print(
            f"{row['name']:<34}{row['forward']:9.3f}{row['backward']:10.3f}{row['optimiser']:11.3f}{row['step']:8.3f}"
            f"{row['of_full']:9.2f}{expected}{row['mebibytes']:6.0f} MiB"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")


def measured(name: str, n_steps: int) -> list[dict[str, Any]]:
    """Train for some steps; return the figures of each kind of step."""
    torch.manual_seed(0)
    config = BertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536, num_labels=2)
    model = BertForSequenceClassification(config)
    batch = {"input_ids": torch.randint(1000, 30000, (16, 64)), "labels": torch.randint(2, (16,))}
    model(**batch)
    before = peak()
    applied = apply(model, Configuration((MODULES[name],)), batch)
    hooks = TrainingHooks(applied)
    optimizer = torch.optim.AdamW(hooks.parameter_groups(0.0), lr=1e-4)
    hooks.start(n_steps, optimizer)
    model.train()
    seconds: dict[str, list[list[float]]] = defaultdict(list)
    for step in range(n_steps):
        hooks.before_step(step)
        kind = kind_of(name, step, n_steps)
        times = [time.perf_counter()]
        loss = model(**batch).loss
        extra = hooks.extra_loss()
        times.append(time.perf_counter())
        (loss if extra is None else loss + extra).backward()
        times.append(time.perf_counter())
        hooks.after_backward(step)
        optimizer.step()
        hooks.after_step(step)
        optimizer.zero_grad()
        times.append(time.perf_counter())
        if step:
            seconds[kind].append([end - begin for begin, end in pairwise(times)])
    share = {"share": float(MODULES[name].options["backward_share"])} if name.startswith("greentrainer") else {}
    rows = []
    for kind, steps in seconds.items():
        parts = {part: median(step[index] for step in steps) for index, part in enumerate(PARTS)}
        whole = {"step": median(sum(step) for step in steps), "mebibytes": (peak() - before) / 2**10}
        rows.append({"name": f"{name}{kind}", **parts, **whole, **(share if not kind else {})})
    return rows


def kind_of(name: str, step: int, n_steps: int) -> str:
    """Return what sort of step it is, where a method has several."""
    if name.startswith("greentrainer"):
        return ", measuring" if step % (n_steps // 2) == 0 else ""
    if name.startswith("lt_sft"):
        return ", choosing" if step < n_steps // 2 else ""
    return ""


def peak() -> int:
    """Return the most memory that the process has held, in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
