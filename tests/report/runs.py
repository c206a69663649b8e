"""A run in the middle, made without training: for tests of pages."""

import json
import os
import socket
from datetime import datetime
from pathlib import Path

import numpy as np

from autopeft.budget import Budget
from autopeft.configuration import Configuration
from autopeft.objectives import TRAINABLE_PARAMETERS, Objective
from autopeft.space.parameter import Real
from autopeft.space.slots import MethodChoice, ModuleSlot
from autopeft.space.space import SearchSpace
from autopeft.study.details import details_file
from autopeft.study.directory import RunDirectory, json_lines
from autopeft.study.problem import SpaceProblem
from autopeft.study.study import Study
from autopeft.tasks.details import of_classes
from autopeft.training.measurement import Assignment, Measurement

OBJECTIVES = (Objective("accuracy", "maximize"), TRAINABLE_PARAMETERS)
LABELS = ("bad", "good", "mixed")
SLOTS = tuple(ModuleSlot(name, (MethodChoice(name, (0, 2, 8)),)) for name in ("lora", "serial_adapter", "prefix"))
SPACE = SearchSpace("test", SLOTS, (Real("learning_rate", 1e-4, 1e-2, log=True),), n_layers=4)
N_ROWS = 200


def n_parameters(configuration: Configuration) -> int:
    return sum(64 * module.size * len(module.layers or ()) for module in configuration.modules)


def make_run(path: Path, n_done: int = 16, n_running: int = 2, n_trials: int = 24) -> RunDirectory:
    """Return a run with so many trials done, one of which failed, and some that run in this process."""
    run = RunDirectory.create(path)
    run.write_settings(
        {
            "name": "reviews",
            "command": "autopeft search --train reviews.csv --trials 24",
            "settings": {"trials": {"value": n_trials, "source": "flag"}, "train": {"value": "reviews.csv", "source": "flag"}},
            "task": {"name": "reviews", "labels": list(LABELS)},
            "model": {"name": "tiny", "path": "tiny", "sha256": "00"},
            "budget": Budget().to_dict(),
            "objectives": [vars(objective) for objective in OBJECTIVES],
            "examples": {"train": 1000, "validation": N_ROWS},
            "trivial_scores": {"accuracy": 0.5},
            "backbone_parameters": 100_000,
            "head_parameters": 770,
            "n_layers": 4,
            "versions": {"python": "3.11.0"},
        }
    )
    study = Study.create(run, SpaceProblem(SPACE, OBJECTIVES, lambda one: {"trainable_parameters": float(n_parameters(one))}), "random", 0)
    rng = np.random.default_rng(0)
    for index in range(n_done + n_running):
        number, configuration, seed = study.ask()
        assignment = Assignment(number, configuration, Budget(), seed)
        if index == 3:
            study.fail(assignment, "loss is not finite")
        elif index < n_done:
            accuracy = round(float(0.55 + 0.06 * np.log10(10 + n_parameters(configuration)) + rng.normal(0, 0.02)), 4)
            true = rng.integers(0, len(LABELS), N_ROWS)
            predicted = np.where(rng.random(N_ROWS) < accuracy, true, rng.integers(0, len(LABELS), N_ROWS))
            steps = [
                {"epoch": 1.0, "progress": share, "examples_seen": 8, "train_loss": 2 - share, "metrics": {"accuracy": accuracy * share}}
                for share in (0.25, 0.5, 1.0)
            ]
            run.write_trial(number, {"curve.jsonl": json_lines(steps), **details_file(of_classes(true, predicted, LABELS))})
            metrics = {"accuracy": accuracy, "loss": 1.5 - accuracy}
            study.tell(assignment, Measurement(metrics, (), n_parameters(configuration), 770, 30.0, 29.0, 10**9, 4000, cpu_seconds=50.0))
    who = {"pid": os.getpid(), "host": socket.gethostname(), "since": datetime.now().astimezone().isoformat(timespec="seconds")}
    (path / "driver.json").write_text(json.dumps(who), encoding="utf-8")
    return run
