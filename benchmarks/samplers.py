"""Compares samplers: hypervolume of the noise-free front of what they proposed, as a fraction of the best there is.

    python benchmarks/samplers.py [--samplers autopeft,tpe,random] [--problems family,fresh,deep,constrained,tabulated,bounded]
                                  [--seeds 3] [--evaluations 64] [--batch 4] [--json FILE] [--plot FILE] [--quick]

`--batch` trials are asked for before any result is known. Every run is one line of FILE; a run that FILE holds is not made again, so a
comparison can be gathered over several runs: `tables/samplers.jsonl` holds what took hours (made beside other work, so its seconds are
too many). `--quick` is a slice of a few minutes. `--plot` draws the course of each sampler as HTML.

| sampler | |
|---|---|
| autopeft | ours, given what a search gives it |
| autopeft -layers | the same without learnt weights of layers |
| autopeft -features | without the learning rate relative to the size, and the parameters in a layer |
| autopeft -known | without the exact cost, which is then modelled |
| autopeft -floor | without the value from which on a point counts |
| autopeft plain | ours as any study would use it: nothing is given |
| autopeft plain with costs | the same, given the functions of the exact costs |
| single task | the same with BoTorch's `SingleTaskGP` over the parameters and the exact cost, as anyone would write it |
| saasbo | the reference's surrogate, given the exact cost and the space, in all else as ours |
| saasbo published | the same after 100 random trials: what the reference's README runs, of 200 |
| ax, syne-tune | their defaults, if they are installed (see problems/outside.py) |
| others | as `autopeft search --sampler` makes them |
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import cache, partial
from pathlib import Path
from statistics import mean, median, pstdev
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial
from problems.constrained import ConstrainedSphere
from problems.family import N_INSTANCES, SyntheticSearch
from problems.outside import AxSampler, SyneTuneSampler
from problems.problem import Problem
from problems.single_task import SingleTaskSampler
from problems.tabulated import MRPC, BoundedTabulated, Tabulated

from autopeft.samplers.bayesian import BayesianSampler
from autopeft.samplers.problem import SearchProblem
from autopeft.samplers.registry import SAMPLERS, make_sampler

MARKS = (16, 32, 64, 128, 200)
N_DEEP = 32
FRESH = (20, 30)
"""Instances on which no choice was made."""
N_PUBLISHED_START = 100
Row = dict[str, Any]

PROBLEMS: Mapping[str, list[Callable[[], Problem]]] = {
    "family": [partial(SyntheticSearch, instance) for instance in range(N_INSTANCES)],
    "fresh": [partial(SyntheticSearch, instance) for instance in range(*FRESH)],
    "deep": [partial(SyntheticSearch, 0, N_DEEP)],
    "constrained": [ConstrainedSphere],
    "tabulated": [partial(Tabulated, *MRPC)],
    "bounded": [partial(BoundedTabulated, *MRPC)],
}
PARTS = ("layers", "features", "known", "floor")


def ours(problem: Problem, seed: int, without: str = "") -> BaseSampler:
    """Return our sampler with all that a search would tell it but one part."""
    ablated = copy(problem.search_problem)
    if without:
        ablated.__class__ = type("Without", (_WITHOUT[without], type(ablated)), {})
    if without == "floor":
        ablated.trivial = {}
    return BayesianSampler(seed=seed, problem=ablated)


class _NoLayers:
    flag_columns = ()


class _NoFeatures:
    def features(self, points: Sequence[dict[str, Any]]) -> NDArray[np.float64]:
        return np.empty((len(points), 0))


class _NoExactCosts:
    exact_objectives = ()

    def exact_costs(self, params: dict[str, Any]) -> dict[int, float]:
        return {}


class _NoTrivialScores:
    """Nothing else differs."""


_WITHOUT = dict(zip(PARTS, (_NoLayers, _NoFeatures, _NoExactCosts, _NoTrivialScores), strict=True))


def plain(problem: Problem, seed: int) -> BaseSampler:
    """Return our sampler as anyone's study would use it."""
    return BayesianSampler(seed=seed)


def plain_with_costs(problem: Problem, seed: int, of: type[BayesianSampler] = BayesianSampler) -> BaseSampler:
    """Return the same, given the exact costs."""
    known = problem.search_problem
    return of({index: partial(_cost, known, index) for index in known.exact_objectives}, seed)


def _cost(problem: SearchProblem, index: int, params: dict[str, Any]) -> float:
    return problem.exact_costs(params)[index]


def informed(problem: Problem, seed: int, name: str = "saasbo") -> BaseSampler:
    """Return a sampler by name, given what a search gives it."""
    return make_sampler(name, seed, problem.search_problem)


class PublishedProtocol(BaseSampler):
    """The reference's surrogate after a random start."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self._start, self._rest = informed(problem, seed, "random"), informed(problem, seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._of(trial).before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._of(trial).infer_relative_search_space(study, trial)

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        return self._of(trial).sample_relative(study, trial, search_space)

    def sample_independent(self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution) -> Any:
        return self._of(trial).sample_independent(study, trial, param_name, param_distribution)

    def _of(self, trial: FrozenTrial) -> BaseSampler:
        return self._start if trial.number < N_PUBLISHED_START else self._rest


MAKERS: dict[str, Callable[[Problem, int], BaseSampler]] = {
    **{name: lambda problem, seed, name=name: make_sampler(name, seed) for name in SAMPLERS},
    "autopeft": ours,
    "saasbo": informed,
    "saasbo published": PublishedProtocol,
    **{f"autopeft -{part}": partial(ours, without=part) for part in PARTS},
    "autopeft plain": plain,
    "autopeft plain with costs": plain_with_costs,
    "single task": partial(plain_with_costs, of=SingleTaskSampler),
    "ax": AxSampler,
    "syne-tune": SyneTuneSampler,
}


@cache
def make_problem(group: str, index: int) -> Problem:
    """Return a problem; its true front takes a while."""
    return PROBLEMS[group][index]()


def run(name: str, problem: Problem, seed: int, n_evaluations: int, batch: int) -> Row:
    """Run one study; return its figures."""
    study = optuna.create_study(directions=problem.directions, sampler=MAKERS[name](problem, seed))
    rng = np.random.default_rng(10_000 + seed)
    points: list[dict[str, Any]] = []
    seconds: list[float] = []
    while len(points) < n_evaluations:
        trials = []
        for _ in range(min(batch, n_evaluations - len(points))):
            began = time.perf_counter()
            trials.append(study.ask(problem.search_problem.distributions))
            seconds.append(time.perf_counter() - began)
        for trial in trials:
            values, constraints = problem.observe(trial.params, rng)
            for constraint, excess in constraints.items():
                trial.set_constraint(constraint, excess)
            study.tell(trial, values)
            points.append(trial.params)
    reached = {str(mark): problem.reached(points[:mark]) for mark in MARKS if mark <= n_evaluations}
    return {"problem": problem.name, "reached": reached, "seconds": median(seconds[-16:])}


def key(row: Row) -> tuple[Any, ...]:
    """Return what tells runs apart."""
    return tuple(row[name] for name in ("sampler", "group", "index", "seed", "evaluations", "batch"))


def report(rows: list[Row]) -> None:
    """Print one line a group of problems, sampler and mark: mean and spread over all runs, and the mean of each problem."""
    print(f"{'problems':<12} {'sampler':<16} {'at':>4} {'runs':>4}  hypervolume    by problem           seconds a suggestion")
    for group, name in dict.fromkeys((row["group"], row["sampler"]) for row in rows):
        mine = [row for row in rows if (row["group"], row["sampler"]) == (group, name)]
        for mark in mine[0]["reached"]:
            found = [row["reached"][mark] for row in mine]
            indices = sorted({row["index"] for row in mine})
            each = " ".join(f"{mean(row['reached'][mark] for row in mine if row['index'] == i):.3f}" for i in indices)
            seconds = median(row["seconds"] for row in mine)
            print(f"{group:<12} {name:<16} {mark:>4} {len(found):>4}  {mean(found):.3f} ± {pstdev(found):.3f}  {each:<20} {seconds:.3f}")


def draw(rows: list[Row], path: Path) -> None:
    """Write the courses, mean and one standard deviation either way, as an HTML page."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for group, name in dict.fromkeys((row["group"], row["sampler"]) for row in rows):
        mine = [row["reached"] for row in rows if (row["group"], row["sampler"]) == (group, name)]
        marks = list(mine[0])
        means, spreads = ([of([one[mark] for one in mine]) for mark in marks] for of in (mean, pstdev))
        figure.add_scatter(x=[int(mark) for mark in marks], y=means, error_y={"array": spreads}, name=f"{group}: {name}")
    figure.update_layout(xaxis_title="evaluations", yaxis_title="share of the true front's hypervolume")
    path.write_text(figure.to_html(include_plotlyjs=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samplers", default="autopeft,tpe,nsga2,random", help=f"out of {','.join(MAKERS)}")
    parser.add_argument("--problems", default="family", help=f"out of {','.join(PROBLEMS)}")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--evaluations", type=int, default=64)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--json", type=Path, default=Path("samplers.jsonl"))
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--quick", action="store_true", help="one seed, 32 evaluations")
    given = parser.parse_args()
    if given.quick:
        given.seeds, given.evaluations = 1, 32
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    done = {key(row): row for row in map(json.loads, given.json.read_text().splitlines())} if given.json.is_file() else {}
    rows = []
    for group in given.problems.split(","):
        for name in given.samplers.split(","):
            for seed, index in ((seed, index) for seed in range(given.seeds) for index in range(len(PROBLEMS[group]))):
                row = {"sampler": name, "group": group, "index": index, "seed": seed}
                row |= {"evaluations": given.evaluations, "batch": given.batch}
                if key(row) not in done:
                    done[key(row)] = row | run(name, make_problem(group, index), seed, given.evaluations, given.batch)
                    with given.json.open("a") as file:
                        file.write(json.dumps(done[key(row)]) + "\n")
                rows.append(done[key(row)])
    report(rows)
    if given.plot:
        draw(rows, given.plot)


if __name__ == "__main__":
    main()
