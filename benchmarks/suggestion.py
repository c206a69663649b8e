"""How long a suggestion takes in the default space, by the backbone's number of layers and the trials so far.

    python benchmarks/suggestion.py [--layers 12,24,32,80] [--trials 64,500] [--suggestions 16] [--space default] [--json FILE]

The backbones are the default one with so many thin layers and random weights: a suggestion never touches weights. All
trials but the last are random ones, with an accuracy that saturates in the parameters, weighs layers unevenly and has noise: from there
a search among neighbours has further to go than from a search's own record. Then come suggestions in batches of four. Printed are their
median and the longest, without the first, which also works out what the next ones remember. `points` stands for what was suggested: two
versions of the sampler that suggest the same have the same.
"""

import argparse
import hashlib
import json
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import optuna
from transformers import AutoConfig, AutoModel, AutoTokenizer

from autopeft.loops.planning import plan
from autopeft.request import SearchRequest
from autopeft.samplers.problem import SearchProblem
from autopeft.samplers.registry import make_sampler
from autopeft.training.backbone import find_backbone

BATCH = 4
THIN = {"hidden_size": 48, "intermediate_size": 96, "num_attention_heads": 4}
NOISE = 0.01


def write_backbone(n_layers: int, folder: Path) -> Path:
    """Write a backbone of n layers; return its folder."""
    source = find_backbone(None).path
    config = AutoConfig.from_pretrained(source)
    config.update({**THIN, "num_hidden_layers": n_layers})
    AutoModel.from_config(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(source).save_pretrained(folder)
    return folder


def make_accuracy(n_layers: int, parameters: Callable[[dict[str, Any]], float]) -> Callable[[dict[str, Any]], float]:
    """Return what a trial measures."""
    rng = np.random.default_rng(0)
    weights = rng.gamma(0.4, size=n_layers)
    weights /= weights.sum()

    def accuracy(params: dict[str, Any]) -> float:
        covered = sum(weight for layer, weight in enumerate(weights) if params.get(f"layers.{layer}"))
        gain = covered * (1 - math.exp(-math.log10(max(1.0, parameters(params))) / 4))
        rate = math.log10(params["learning_rate"]) + 3
        return float(0.68 + 0.15 * gain - 0.02 * rate**2 + NOISE * rng.normal())

    return accuracy


def measure(n_layers: int, problem: SearchProblem, n_trials: int, n_suggestions: int) -> dict[str, Any]:
    """Return how long suggestions take up to trial n."""

    def parameters(params: dict[str, Any]) -> float:
        return problem.exact_costs(params)[1]

    accuracy = make_accuracy(n_layers, parameters)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=make_sampler("random", 1))

    def tell(trial: optuna.Trial) -> None:
        study.tell(trial, [accuracy(trial.params), parameters(trial.params)])

    for _ in range(n_trials - n_suggestions):
        tell(study.ask(problem.distributions))
    study.sampler = make_sampler("autopeft", 0, problem)
    seconds = []
    while len(study.trials) < n_trials:
        trials = []
        for _ in range(BATCH):
            began = time.perf_counter()
            trials.append(study.ask(problem.distributions))
            seconds.append(time.perf_counter() - began)
        for trial in trials:
            tell(trial)
    points = hashlib.sha256(repr([trial.params for trial in study.trials[-len(seconds) :]]).encode()).hexdigest()[:8]
    return {"layers": n_layers, "trials": n_trials, "seconds": median(seconds[1:]), "longest": max(seconds[1:]), "points": points}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", default="12,24,32,80")
    parser.add_argument("--trials", default="64,500")
    parser.add_argument("--suggestions", type=int, default=16, help="in batches of four; at least eight")
    parser.add_argument("--space", default="default")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rows = []
    for n_layers in map(int, given.layers.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            model = write_backbone(n_layers, Path(folder))
            problem = plan(SearchRequest(task="demo", model=str(model), space=given.space, workers=0)).problem
        for n_trials in map(int, given.trials.split(",")):
            rows.append(measure(n_layers, problem, n_trials, given.suggestions))
            print(
                "{layers:>3} layers {trials:>4} trials: {seconds:.3f} s a suggestion, longest {longest:.3f}, points {points}".format(
                    **rows[-1]
                ),
                flush=True,
            )
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
