"""How much nearer to the truth a surrogate's expectation is than a trial's one measurement, where the truth is known.

    python benchmarks/expectation.py [--seeds 3] [--trials 64] [--json FILE]

Searches of the synthetic family with our sampler, told all it is told there. For every trial the surrogate of `autopeft report` says
what is expected (it is not told the space's features, only parameters and cost). The table has the root mean squared error of measurement
and expectation, for all trials and for those on the front that was measured; how far the measured front flatters (mean of measured minus
true); how often the truth lies within 1.96 deviations; and how far the best by either lies below the truly best of the search.
Mean and standard deviation over runs.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from problems.family import N_INSTANCES, SyntheticSearch

from autopeft.pareto import non_dominated
from autopeft.samplers.bayesian import BayesianSampler
from autopeft.samplers.expectation import expectations


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rows = [run(SyntheticSearch(index), seed, arguments.trials) for index in range(N_INSTANCES) for seed in range(arguments.seeds)]
    for name in rows[0]:
        if name not in ("problem", "seed"):
            print(f"{name:<40} {np.mean([row[name] for row in rows]):.3f} ± {np.std([row[name] for row in rows]):.3f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")


def run(problem: SyntheticSearch, seed: int, n_trials: int) -> dict[str, Any]:
    """Return one search's figures."""
    sampler = BayesianSampler(problem.known, seed, distributions=problem.distributions, hints=problem.hints, reference=problem.floors)
    study = optuna.create_study(sampler=sampler, directions=problem.directions)
    rng = np.random.default_rng(seed)
    for _ in range(n_trials):
        trial = study.ask(problem.distributions)
        study.tell(trial, problem.observe(trial.params, rng)[0])
    trials = study.trials
    expected = expectations(trials, 1, cost=0)
    truth = np.array([problem.accuracy(trial.params) for trial in trials])
    measured = np.array([trial.values[1] for trial in trials])
    mean, deviation = np.array([expected[trial.number] for trial in trials]).T
    on_front = non_dominated(np.array([[trial.values[0], -trial.values[1]] for trial in trials]))
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
