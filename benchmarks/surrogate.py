"""What the sampler's surrogate knows of real trials that it hasn't seen, from few that it has.

    python benchmarks/surrogate.py [--tables FILE ...] [--noise=-2,1 --noise=0,1] [--choices 20] [--json FILE]

It is fitted to n configurations drawn from the table of trained trials (problems/tabulated.py), and predicts all others. R2 is against the
mean of those; "log density" is that of what was measured, noise included, beyond that under the normal distribution of the n. Within
1.96 deviations 0.95 should lie. Mean and standard deviation over choices of n, the same ones in every line.

| surrogate | |
|---|---|
| whole | as a search has it |
| averaged | over hyper-parameters, as the report's expectations are |
| -layers | without learnt weights of layers |
| -features | without the learning rate relative to the size, and the parameters in a layer |
| -cost | without the parameters as a coordinate |

`--noise` takes centre and spread of the prior over the noise's share of the variance; lines of variants have the first that is given.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from problems.tabulated import MRPC, Tabulated
from scipy.stats import norm

from autopeft.samplers.scale import ObjectiveScale
from autopeft.surrogates import gaussian_process, hyper_posterior
from autopeft.surrogates.averaged import fit_averaged
from autopeft.surrogates.gaussian_process import GaussianProcess
from autopeft.surrogates.mixture import Mixture
from autopeft.surrogates.threads import one_thread

Array = NDArray[np.float64]
NUMBERS = (32, 64, 128)
AVERAGED = "averaged"
VARIANTS = (AVERAGED, "-layers", "-features", "-cost")
COVERED = 1.96
"""Deviations either way within which 0.95 of a normal distribution lies."""


class Trials:
    """The table's trials as a search's surrogate sees them."""

    def __init__(self, problem: Tabulated) -> None:
        self._problem = problem.search_problem
        self._points, self.values = problem.measured()
        (cost,) = self._problem.exact_objectives
        costs = np.array([self._problem.exact_costs(one)[cost] for one in self._points])
        self._costs = ObjectiveScale.over(costs, 1.0)(costs)[:, None]
        _, self.configuration = np.unique([list(one.values()) for one in self._points], axis=0, return_inverse=True)
        self.n_configurations = int(self.configuration.max()) + 1

    def inputs(self, variant: str) -> tuple[Array, tuple[tuple[int, ...], ...]]:
        """Return the coordinates, and which of them are flags of one kind, without a part of them if that is the variant."""
        features = [] if variant == "-features" else [self._problem.features(self._points)]
        parts = [self._problem.encode(self._points), *features, *([] if variant == "-cost" else [self._costs])]
        return np.concatenate(parts, axis=1), () if variant == "-layers" else self._problem.flag_columns


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, nargs="+", default=MRPC)
    parser.add_argument("--noise", action="append", type=lambda text: tuple(map(float, text.split(","))))
    parser.add_argument("--choices", type=int, default=20)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    ours = hyper_posterior.NOISE
    priors = given.noise or [(ours.centre, ours.spread)]
    trials = Trials(Tabulated(*given.tables))
    rows = []
    for noise, variant in [*((noise, "") for noise in priors), *((priors[0], variant) for variant in VARIANTS)]:
        with patch.object(hyper_posterior, "NOISE", replace(ours, centre=noise[0], spread=noise[1])):
            for n in (n for n in NUMBERS if n < trials.n_configurations):
                gaussian_process._most_likely.cache_clear()  # what is remembered was fitted under another prior
                found = [figures(trials, variant, n, choice) for choice in range(given.choices)]
                rows.append({"noise": noise, "variant": variant, "n": n, "choices": found})
                show(rows[-1])
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2) + "\n")


def figures(trials: Trials, variant: str, n: int, choice: int) -> dict[str, float]:
    """Return how well n configurations tell the others."""
    configurations = np.random.default_rng(choice).permutation(trials.n_configurations)[:n]
    seen = np.isin(trials.configuration, configurations)
    inputs, groups = trials.inputs(variant)
    values, truth = trials.values[seen], trials.values[~seen]
    with one_thread():
        fit = fit_averaged if variant == AVERAGED else fit_one
        mixture = fit(inputs[seen], values, groups)
        mean, deviation = mixture.predict(inputs[~seen])
    noise = float(np.mean([member.hyper["noise"] for member in mixture.members]))
    scatter = np.sqrt(deviation**2 + noise * mixture.members[0].scale ** 2)
    gained = norm.logpdf(truth, mean, scatter) - norm.logpdf(truth, values.mean(), values.std())
    return {
        "R2": 1 - float(((mean - truth) ** 2).mean() / truth.var()),
        "log density": float(gained.mean()),
        "within": float((abs(mean - truth) < COVERED * scatter).mean()),
        "noise": noise,
    }


def fit_one(inputs: Array, losses: Array, groups: Sequence[Sequence[int]]) -> Mixture:
    """Return the surrogate of a search, in the form of one that averages."""
    return Mixture((GaussianProcess.fit(inputs, losses, groups),))


def show(row: dict[str, Any]) -> None:
    """Print a line."""
    each = "  ".join(f"{name} {np.mean(found):.3f} ± {np.std(found):.3f}" for name, found in columns(row["choices"]))
    label = f"noise {row['noise'][0]:g}, {row['noise'][1]:g} {row['variant']}"
    print(f"{label:<22} n {row['n']:>3}  {each}", flush=True)


def columns(choices: list[dict[str, float]]) -> Iterator[tuple[str, list[float]]]:
    """Yield each figure's name and its values over choices."""
    for name in choices[0]:
        yield name, [one[name] for one in choices]


if __name__ == "__main__":
    main()
