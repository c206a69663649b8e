"""How much nearer to the truth a surrogate's expectation is than a trial's one measurement, where the truth is known.

    python benchmarks/expectation.py [--problem family] [--seeds 3] [--trials 64] [--one] [--json FILE]

Searches with our sampler, given all that a search gives it, of the synthetic family or of what real trials were measured (`--problem
tabulated`, see problems/tabulated.py). For every trial the surrogate of `autopeft report` says what is expected (it lacks the space's
features, only parameters and cost); with `--one` it is that of a proposal, which has one set of hyper-parameters. The table has the root
mean squared error of measurement and expectation, for all trials and for those on the front that was measured; how far the measured front
flatters (mean of measured minus true); how often the truth lies within 1.96 deviations; and how far the best by either lies below the
truly best of the search. Mean and standard deviation over runs.
"""

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import optuna
from problems.family import N_INSTANCES, SyntheticSearch
from problems.tabulated import MRPC, Tabulated

from autopeft.pareto import non_dominated
from autopeft.samplers import expectation
from autopeft.samplers.bayesian import BayesianSampler
from autopeft.surrogates.gaussian_process import GaussianProcess

PROBLEMS: dict[str, list[Callable[[], SyntheticSearch | Tabulated]]] = {
    "family": [partial(SyntheticSearch, index) for index in range(N_INSTANCES)],
    "tabulated": [partial(Tabulated, *MRPC)],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problem", choices=PROBLEMS, default="family")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--one", action="store_true")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    fit = GaussianProcess.fit if arguments.one else expectation.fit_averaged
    with patch.object(expectation, "fit_averaged", fit):
        problems = [make() for make in PROBLEMS[arguments.problem]]
        rows = [run(problem, seed, arguments.trials) for problem in problems for seed in range(arguments.seeds)]
    for name in rows[0]:
        if name not in ("problem", "seed"):
            print(f"{name:<40} {np.mean([row[name] for row in rows]):.4f} ± {np.std([row[name] for row in rows]):.4f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")


def run(problem: SyntheticSearch | Tabulated, seed: int, n_trials: int) -> dict[str, Any]:
    """Return one search's figures."""
    sampler = BayesianSampler(seed=seed, problem=problem.search_problem)
    study = optuna.create_study(sampler=sampler, directions=problem.directions)
    rng = np.random.default_rng(seed)
    for _ in range(n_trials):
        trial = study.ask(problem.search_problem.distributions)
        study.tell(trial, problem.observe(trial.params, rng)[0])
    trials = study.trials
    (cost,) = problem.search_problem.exact_objectives
    metric = 1 - cost
    expected = expectation.expectations(trials, metric, cost)
    truth = np.array([problem.accuracy(trial.params) for trial in trials])
    measured = np.array([trial.values[metric] for trial in trials])
    mean, deviation = np.array([expected[trial.number] for trial in trials]).T
    on_front = non_dominated(np.array([[trial.values[cost], -trial.values[metric]] for trial in trials]))
    return {
        "problem": problem.name,
        "seed": seed,
        "error of measurement": _rms(measured - truth),
        "error of expectation": _rms(mean - truth),
        "error of measurement, front": _rms((measured - truth)[on_front]),
        "error of expectation, front": _rms((mean - truth)[on_front]),
        "measured front flatters by": float((measured - truth)[on_front].mean()),
        "expectation flatters by": float((mean - truth)[on_front].mean()),
        "truth within 1.96 deviations": float((abs(mean - truth) < 1.96 * deviation).mean()),
        "truth within 1.96 deviations, front": float((abs(mean - truth) < 1.96 * deviation)[on_front].mean()),
        "best by measurement is worse by": float(truth.max() - truth[measured.argmax()]),
        "best by expectation is worse by": float(truth.max() - truth[mean.argmax()]),
    }


def _rms(errors: Any) -> float:
    return float(np.sqrt(np.mean(np.square(errors))))


if __name__ == "__main__":
    main()
