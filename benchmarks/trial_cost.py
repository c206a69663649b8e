"""What a 1,000-example trial costs, ours against the reference recipe, and what each lever is worth.

    AUTOPEFT_DATA=... python benchmarks/trial_cost.py [--quick] [--json FILE]

The reference recipe starts a process for each trial, imports, loads the model, tokenises, pads to 128 tokens, trains in float32 and
measures accuracy on all validation examples. Ours runs the same configurations one after another in one resident worker and measures on
the same examples, in float32 as the kept numbers of a search are. MRPC, default backbone, one thread each, one epoch of 1,000 examples
in batches of 16; the two alternate. Half of the six configurations stand in the upper half of the layers. Without the data the demo
task takes MRPC's place. Neither trains backwards below its lowest module: autograd sees to that by itself.

Beside it stands what many would use: a `transformers.Trainer` on the same modules and examples, with batches padded to their longest, drawn
at random or grouped by length. It is given its process, imports, model and tokens for nothing: of it and of ours the processor seconds
of training and evaluation count; ours are of the first trial, which records hidden states below its modules, and of a second.

The levers are switched on one after another, in the order of the table, on a configuration in all layers and one in the upper half:
seconds of training alone, but for the first, which is what a process costs before it trains.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
from torch import nn

from autopeft.budget import Budget
from autopeft.configuration import Configuration, PeftModule
from autopeft.errors import UnavailableError
from autopeft.methods.compose import apply
from autopeft.tasks import Batch, Encoded, TaskData, family_of, load
from autopeft.training.backbone import find_backbone
from autopeft.training.batches import EVALUATION_BATCH, draw, training_batches
from autopeft.training.cpu_kernels import CpuKernels
from autopeft.training.hidden_states import FrozenPart
from autopeft.training.measurement import Assignment, RunnerSettings
from autopeft.training.model import load_model, start_head
from autopeft.training.runner import TrialRunner

LENGTH = 128
BUDGET = Budget(train_examples=1000, epochs=1, batch_size=16, max_length=LENGTH)
ALL, UPPER, TOP = tuple(range(6)), (3, 4, 5), (5,)
RATE = {"learning_rate": 1e-3}
CONFIGURATIONS = {
    "lora 8, all layers": Configuration((PeftModule("lora", 8, ALL),), RATE),
    "serial 16 + parallel 4, layers 0 2 4": Configuration(
        (PeftModule("serial_adapter", 16, (0, 2, 4)), PeftModule("parallel_adapter", 4, (0, 2, 4))), RATE
    ),
    "all four, layers 1 to 5": Configuration(
        tuple(PeftModule(name, 8, (1, 2, 3, 4, 5)) for name in ("serial_adapter", "parallel_adapter", "prefix", "lora")), RATE
    ),
    "lora 8, upper half": Configuration((PeftModule("lora", 8, UPPER),), RATE),
    "parallel 64 + prefix 8, upper half": Configuration((PeftModule("parallel_adapter", 64, UPPER), PeftModule("prefix", 8, UPPER)), RATE),
    "serial 32, top layer": Configuration((PeftModule("serial_adapter", 32, TOP),), RATE),
}
QUICK = ("lora 8, all layers", "serial 32, top layer")


@dataclass(frozen=True)
class Levers:
    """Which of them are pulled; none is the reference's loop."""

    dynamic_padding: bool = False
    length_bucketing: bool = False
    bfloat16: bool = False
    cpu_kernels: bool = False
    no_backward_below: bool = False
    cached_hidden_states: bool = False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two configurations instead of six")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--reference", help=argparse.SUPPRESS)
    parser.add_argument("--trainer", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.reference is not None:
        reference_trial(arguments.reference)
        return
    if arguments.trainer is not None:
        trainer_trial(*arguments.trainer)
        return
    data = find_data()
    runner = TrialRunner(RunnerSettings(find_backbone(), data.task, data.train, data.validation, threads=1))
    warm_up = Assignment(0, CONFIGURATIONS[QUICK[0]], replace(BUDGET, train_examples=32), 0)
    runner.run(warm_up)  # imports peft, and is no trial's doing
    rows = [compare(runner, name, configuration) for name, configuration in chosen(arguments.quick)]
    levers = lever_factors(runner)
    ratios = [row["ratio"] for row in rows]
    upper = [row["ratio"] for row in rows if row["upper_half"]]
    print(f"\nmean ratio {mean(ratios):.1f}, in the upper half of the layers {mean(upper):.1f}")
    if arguments.json:
        figures = {"ratio_mean": mean(ratios), "ratio_upper_half": mean(upper), "levers": levers, "configurations": rows}
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def find_data() -> TaskData:
    try:
        return load("mrpc", offline=True)
    except UnavailableError:
        print("no MRPC in AUTOPEFT_DATA: the demo task takes its place", file=sys.stderr)
        return load("demo")


def chosen(quick: bool) -> Iterator[tuple[str, Configuration]]:
    for name, configuration in CONFIGURATIONS.items():
        if not quick or name in QUICK:
            yield name, configuration


_REFERENCE = [sys.executable, __file__, "--reference"]
"""Runs one trial of the reference recipe; with no configuration it stops before the first step."""
_TRAINER = [sys.executable, __file__, "--trainer"]
"""Runs one trial by a Trainer, given a configuration and how batches are drawn; prints its processor seconds."""


def compare(runner: TrialRunner, name: str, configuration: Configuration) -> dict[str, Any]:
    """Run one configuration both ways; return its figures."""
    began = time.perf_counter()
    outcome = runner.run(Assignment(0, configuration, BUDGET, 0))
    ours = time.perf_counter() - began
    assert outcome.measurement is not None, outcome.error
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    began = time.perf_counter()
    subprocess.run([*_REFERENCE, configuration.to_json()], env=environment, check=True, stdout=subprocess.DEVNULL)
    theirs = time.perf_counter() - began
    lowest = min(layer for module in configuration.modules for layer in module.layers or ())
    print(f"{name:<40} reference {theirs:6.1f} s, ours {ours:5.1f} s, ratio {theirs / ours:5.1f}", flush=True)
    later = runner.run(Assignment(0, configuration, BUDGET, 0)).measurement
    assert later is not None
    processor = {"ours": outcome.measurement.cpu_seconds, "ours again, hidden states kept": later.cpu_seconds} | {
        f"Trainer, {sampling}": float(subprocess.check_output([*_TRAINER, configuration.to_json(), sampling], env=environment))
        for sampling in ("random", "group_by_length")
    }
    print(f"{'':<40} processor seconds: " + ", ".join(f"{who} {seconds:.1f}" for who, seconds in processor.items()), flush=True)
    return {
        "name": name,
        "reference_seconds": theirs,
        "seconds": ours,
        "ratio": theirs / ours,
        "processor_seconds": processor,
        "upper_half": lowest >= len(ALL) // 2,
    }


def reference_trial(text: str) -> None:
    """Do what a process of the reference recipe does, for a configuration in JSON."""
    data = find_data()
    family = family_of(data.task)
    loaded = load_model(find_backbone(), family)
    train = family.encode(loaded.processor, draw(data.train, BUDGET.train_examples), LENGTH, training=True)
    validation = family.encode(loaded.processor, data.validation, LENGTH)
    if not text:
        return
    applied = apply(loaded.model, Configuration.from_json(text), train.batch([0, 1]).inputs, extra_trainable=loaded.fresh)
    start_head(loaded.model, applied.topology.head, 0, train)
    steps(loaded.model, applied.trainable_parameters().values(), train, Levers(no_backward_below=True))
    loaded.model.eval()
    with torch.inference_mode():
        for start in range(0, len(validation), BUDGET.batch_size):
            loaded.model(**padded(validation, range(start, min(start + BUDGET.batch_size, len(validation)))).inputs)


def trainer_trial(text: str, sampling: str) -> None:
    """Train and evaluate a configuration in JSON by a Trainer, and print the processor seconds of that alone."""
    from transformers import DataCollatorWithPadding, Trainer, TrainingArguments

    data = find_data()
    family = family_of(data.task)
    loaded = load_model(find_backbone(), family)
    train = family.encode(loaded.processor, draw(data.train, BUDGET.train_examples), LENGTH, training=True)
    validation = family.encode(loaded.processor, data.validation, LENGTH)
    configuration = Configuration.from_json(text)
    applied = apply(loaded.model, configuration, train.batch([0, 1]).inputs, extra_trainable=loaded.fresh)
    start_head(loaded.model, applied.topology.head, 0, train)
    rows, others = (
        [{**row, "labels": int(label)} for row, label in zip(split.rows, split.references, strict=True)] for split in (train, validation)
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            loaded.model,
            TrainingArguments(
                output_dir=folder,
                num_train_epochs=BUDGET.epochs,
                per_device_train_batch_size=BUDGET.batch_size,
                per_device_eval_batch_size=EVALUATION_BATCH,
                learning_rate=RATE["learning_rate"],
                train_sampling_strategy=sampling,
                eval_strategy="epoch",
                save_strategy="no",
                logging_strategy="no",
                report_to="none",
                disable_tqdm=True,
                use_cpu=True,
            ),
            data_collator=DataCollatorWithPadding(loaded.processor),
            train_dataset=rows,  # type: ignore[arg-type]
            eval_dataset=others,  # type: ignore[arg-type]
            compute_metrics=lambda found: {"accuracy": float((found.predictions.argmax(-1) == found.label_ids).mean())},
        )
        began = time.process_time()
        with redirect_stdout(sys.stderr):
            trainer.train()
        print(time.process_time() - began)


def lever_factors(runner: TrialRunner) -> dict[str, dict[str, float]]:
    """Return, for two configurations, by how much each lever makes the steps before it faster."""
    began = time.perf_counter()
    subprocess.run([*_REFERENCE, ""], check=True, stdout=subprocess.DEVNULL)
    process = time.perf_counter() - began
    found = {}
    for name in ("lora 8, all layers", "serial 32, top layer"):
        levers, seconds = Levers(), timed(runner, CONFIGURATIONS[name], Levers())
        factors = {"resident_backbone": (process + seconds) / seconds}
        for lever in vars(Levers()):
            levers = replace(levers, **{lever: True})
            faster = timed(runner, CONFIGURATIONS[name], levers)
            factors[lever], seconds = seconds / faster, faster
        found[name] = factors
        print(f"{name:<40} " + "  ".join(f"{lever} {factor:.2f}" for lever, factor in factors.items()), flush=True)
    return found


def timed(runner: TrialRunner, configuration: Configuration, levers: Levers) -> float:
    """Return the seconds of the training steps of 1,000 examples."""
    model = runner._loaded.model
    train, _ = runner._data(BUDGET)
    applied = apply(model, configuration, topology=runner._topology)
    try:
        frozen = runner._hidden_states.below(applied, train)
        if levers.cached_hidden_states:
            with torch.autocast("cpu", torch.bfloat16, enabled=levers.bfloat16), frozen.reused(train, [0]):
                pass  # recorded once for all trials, and not by any trial's clock
        began = time.perf_counter()
        steps(model, applied.trainable_parameters().values(), train, levers, frozen)
        return time.perf_counter() - began
    finally:
        applied.eject()


def steps(model: Any, trainable: Any, split: Encoded, levers: Levers, frozen: FrozenPart | None = None) -> None:
    """Take one epoch's steps."""
    optimizer = torch.optim.AdamW(trainable, lr=1e-3)
    model.train()
    hook = None
    if not levers.no_backward_below:  # as where what is embedded requires gradient, and with it all layers
        hook = model.get_input_embeddings().register_forward_hook(lambda module, args, output: output.requires_grad_())
    if frozen and levers.cached_hidden_states:
        frozen.eval()
    try:
        for indices in batches(split, levers):
            batch = split.batch(indices) if levers.dynamic_padding else padded(split, indices)
            reused = frozen.reused(split, indices) if frozen and levers.cached_hidden_states else nullcontext()
            kernels = CpuKernels() if levers.cpu_kernels else nullcontext()
            with torch.autocast("cpu", torch.bfloat16, enabled=levers.bfloat16), reused, kernels:
                loss = split.family.loss(split.family.forward(model, batch), batch) / len(indices)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad()
    finally:
        if hook is not None:
            hook.remove()


def batches(split: Encoded, levers: Levers) -> list[list[int]]:
    rng = np.random.default_rng(0)
    if levers.length_bucketing:
        return training_batches(split, BUDGET.batch_size, rng)
    order = rng.permutation(len(split)).tolist()
    return [order[start : start + BUDGET.batch_size] for start in range(0, len(order), BUDGET.batch_size)]


def padded(split: Encoded, indices: Any) -> Batch:
    """Return a batch padded to the full length."""
    batch = split.batch(indices)
    missing = LENGTH - batch.inputs["input_ids"].shape[1]
    padding = {"input_ids": int(split.processor.pad_token_id)}
    inputs = {name: nn.functional.pad(tensor, (0, missing), value=padding.get(name, 0)) for name, tensor in batch.inputs.items()}
    return batch._replace(inputs=inputs)


if __name__ == "__main__":
    main()
