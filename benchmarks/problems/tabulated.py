"""Real trials as a problem: a regression on gathered learning curves (see ../curves.py) answers for configurations nobody trained.

Legend:
    n, d   configurations in the tables, coordinates of one

Extremely randomised trees (Geurts, Ernst, Wehenkel, 2006) regress three things on the coordinates: what is measured at the end, from all
rows; by how much earlier measurements differ from it, from the rows that were measured most often on their way; and processor seconds,
from those that were measured least often, which is as often as a search measures. Trees share nothing with our own sampler's surrogate,
which would else find what it assumes.
"""

import json
import math
from collections.abc import Sequence
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.preprocessing import StandardScaler

from autopeft.configuration import Configuration
from autopeft.loops.planning import BackboneCosts, SearchPlan, plan
from autopeft.methods.counting import ParameterCounter
from autopeft.pareto import hypervolume, non_dominated
from autopeft.request import SearchRequest
from autopeft.study.problem import SpaceProblem

Array = NDArray[np.float64]

_TABLES = Path(__file__).parents[1] / "tables"
MRPC = (_TABLES / "mrpc.jsonl", _TABLES / "mrpc_searches.jsonl")
"""Random configurations (../curves.py), and what searches tried (../gather.py)."""
METRIC, COST, SECONDS = "accuracy", "trainable_parameters", "cpu_seconds"
EARLY = ("average_precision", "loss")
PRECISION = 1 + EARLY.index("average_precision")
"""Its place among what is measured at the end."""
NOISE = 0.01
"""Standard deviation of a measured accuracy. Another seed makes more of it: 0.016, 95 % interval 0.011 to 0.026 (../seeds.py)."""
SECONDS_NOISE = 0.02
"""The same of measured seconds, as a share of them."""
QUICK_SHARE = 1 / 3
"""So much of the table is quick enough for the bounded problem."""
N_TREES, MIN_LEAF, N_FOLDS = 200, 2, 10
N_DRAWN, N_ROUNDS, N_MUTATED = 5_000, 25, 1_000
"""Of the search for the model's front: random points, then rounds of neighbours of the best so far."""


class Tabulated:
    """The problem of a table: the task's metric up, parameters down on a log scale.

    Args:
        paths: Tables of one task; the first names the problem.
    """

    directions = ("maximize", "minimize")
    constraints: Sequence[str] = ()

    def __init__(self, *paths: Path) -> None:
        self.name = f"tabulated {paths[0].stem}"
        self.planned: SearchPlan = plan(SearchRequest(task="demo", workers=0, space="four_modules"))
        self._costs = BackboneCosts(ParameterCounter(self.planned.facts.topology), self.planned.facts.head_parameters)
        rows = [row for path in paths for row in map(json.loads, path.read_text().splitlines()) if "curve" in row]
        n_measured = np.array([len(row["curve"]) for row in rows])
        closely, plainly = np.flatnonzero(n_measured == n_measured.max()), np.flatnonzero(n_measured == n_measured.min())
        self.n_rows = len(rows)
        self._configurations = [Configuration.from_dict(row["configuration"]) for row in rows]
        self.progress: list[float] = [point["progress"] for point in rows[closely[0]]["curve"]]
        self._inputs = np.array([self._row(one) for one in self._configurations])
        self._ends_measured = np.array([[row["curve"][-1][name] for name in (METRIC, *EARLY)] for row in rows])
        on_the_way = [[point[name] - rows[i]["curve"][-1][name] for name in EARLY for point in rows[i]["curve"]] for i in closely]
        self._seconds_measured = np.array([rows[i][SECONDS] for i in plainly])
        self._ends = trees().fit(self._inputs, self._ends_measured)
        self._course = trees().fit(self._inputs[closely], np.array(on_the_way))
        self._seconds = trees().fit(self._inputs[plainly], self._seconds_measured)

    @cached_property
    def search_problem(self) -> SpaceProblem:
        """The space of the table's configurations, whose share of the majority class a search would know."""
        found = copy(self.planned.problem)
        found.trivial = self.trivial
        return found

    @property
    def trivial(self) -> dict[int, float]:
        """By objective, the worst of the table: for accuracy the share of the majority class."""
        return {0: float(self._ends_measured[:, 0].min())}

    def measured(self) -> tuple[list[dict[str, Any]], Array]:
        """Return the parameters of each row's trial, and the metric that was measured at its end."""
        space = self.planned.space
        points = [
            space.point_near({module.method: module for module in one.modules}) | {"learning_rate": one.training["learning_rate"]}
            for one in self._configurations
        ]
        return [self.planned.problem.to_params(point) for point in points], self._ends_measured[:, 0]

    def fit_error(self) -> dict[str, float]:
        """Return how well the regression tells the metric of configurations that it hasn't seen, by cross-validation."""
        _, same = np.unique(self._inputs, axis=0, return_inverse=True)  # searches of one seed begin alike: a repeat must not tell its twin
        folds = GroupKFold(N_FOLDS, shuffle=True, random_state=0)
        told = cross_val_predict(trees(), self._inputs, self._ends_measured, groups=same, cv=folds)[:, 0]
        truth = self._ends_measured[:, 0]
        return {
            "rows": self.n_rows,
            "r2": 1 - float(((told - truth) ** 2).mean() / truth.var()),
            "spearman": float(spearmanr(told, truth).statistic),
            "deviation": float((told - truth).std()),
        }

    def measure(self, configuration: Configuration) -> tuple[float, dict[str, list[float]]]:
        """Return what the regression says of a configuration: the metric at the end, and each of `EARLY` at each of `progress`."""
        inputs = np.array([self._row(configuration)])
        metric, *ends = self._predict(inputs)[0].tolist()
        course = self._course.predict(inputs).reshape(len(EARLY), -1)
        return metric, {name: (end + before).tolist() for name, end, before in zip(EARLY, ends, course, strict=True)}

    def parameters(self, configuration: Configuration) -> int:
        """Return a configuration's number of trainable parameters."""
        known = self._costs(configuration)
        assert known is not None  # the table's and a search's configurations can all be built
        return int(known[COST])

    def observe(self, params: dict[str, Any], rng: np.random.Generator) -> tuple[list[float], dict[str, float]]:
        """Return the noisy metric and the parameters; there is no constraint."""
        loss, log_cost = self._points([params])[0]
        return [-loss + NOISE * rng.normal(), 10**log_cost], {}

    def accuracy(self, params: dict[str, Any]) -> float:
        """Return the metric without noise."""
        return float(-self._points([params])[0, 0])

    def reached(self, points: Sequence[dict[str, Any]]) -> float:
        """Return the hypervolume of the points' modelled values over that of the model's front."""
        return self._volume(self._points(points)) / self.best_hypervolume

    def reached_by(self, configurations: Sequence[Configuration]) -> float:
        """Return the same of configurations."""
        inputs = np.array([self._row(one) for one in configurations])
        return self._volume(self._losses(inputs, self._predict(inputs))) / self.best_hypervolume if len(inputs) else 0.0

    @cached_property
    def best_hypervolume(self) -> float:
        """Hypervolume of the best front that an evolutionary search of the model comes to, with many times a search's evaluations."""
        rng = np.random.default_rng(0)
        drawn = [self.planned.space.sample(rng) for _ in range(N_DRAWN)]
        front, losses = self._front([self.planned.problem.to_params(point) for point in drawn])
        for _ in range(N_ROUNDS):
            around = [step for params in front for step in self.planned.problem.neighbours(params, rng)]
            chosen = [around[i] for i in rng.permutation(len(around))[:N_MUTATED]]
            front, losses = self._front([*front, *chosen])
        return self._volume(losses)

    def _front(self, points: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], Array]:
        allowed = [params for params in points if self.planned.problem.key(params) is not None]
        losses = self._points(allowed)
        best = np.flatnonzero(non_dominated(losses))
        return [allowed[i] for i in best], losses[best]

    def _volume(self, losses: Array) -> float:
        inside = losses[(losses < self._reference).all(axis=1)]
        return hypervolume(inside[non_dominated(inside)], self._reference) if len(inside) else 0.0

    @cached_property
    def _reference(self) -> Array:
        costs = [row[-1] for row in self._inputs]
        return np.array([-self.trivial[0], max(costs)])

    def _points(self, points: Sequence[dict[str, Any]]) -> Array:
        return self._losses(*self._predictions(points))

    def _losses(self, inputs: Array, predicted: Array) -> Array:
        """Return n x m losses without noise; infinite where a bound is broken."""
        return np.stack([-predicted[:, 0], inputs[:, -1]], axis=1)

    def _row(self, configuration: Configuration) -> list[float]:
        """Return d coordinates: size and layers of each method, the learning rate, and the parameters, all but flags as logarithms."""
        modules = {module.method: module for module in configuration.modules}
        sizes = [math.log2(1 + modules[slot.name].size) if slot.name in modules else -1.0 for slot in self.planned.space.slots]
        layers = {layer for module in configuration.modules for layer in module.layers or ()}
        flags = [float(layer in layers) for layer in range(self.planned.space.n_layers)]
        cost = self.parameters(configuration)
        rate = math.log10(configuration.training["learning_rate"])
        return [*sizes, *flags, float(len(layers)), rate, rate + math.log10(max(1, cost)) / 3, math.log10(max(1, cost))]

    def _predictions(self, points: Sequence[dict[str, Any]]) -> tuple[Array, Array]:
        """Return the inputs of points, n x d, and what the regression says of their ends, n x (1 + the number of `EARLY`)."""
        inputs = np.array([self._row(self.planned.problem.configuration(params)) for params in points])
        return inputs, self._predict(inputs)

    def _predict(self, inputs: Array) -> Array:
        result = self._ends.predict(inputs)
        result[inputs[:, -1] == 0, 0] = self.trivial[0]  # the head alone, which no search proposes, has no row
        return result


class BoundedTabulated(Tabulated):
    """Three objectives, accuracy and average precision up, parameters down, and a measured bound on a trial's processor seconds."""

    directions = ("maximize", "minimize", "maximize")
    constraints = (SECONDS,)

    def __init__(self, *paths: Path) -> None:
        super().__init__(*paths)
        self.name += ", 3 objectives, bounded"
        self._longest = float(np.quantile(self._seconds_measured, QUICK_SHARE))

    @property
    def trivial(self) -> dict[int, float]:
        """The worst of the table."""
        return {0: float(self._ends_measured[:, 0].min()), 2: float(self._ends_measured[:, PRECISION].min())}

    def observe(self, params: dict[str, Any], rng: np.random.Generator) -> tuple[list[float], dict[str, float]]:
        """Return the noisy metrics around the parameters, and by how much the noisy seconds exceed their bound."""
        inputs, predicted = self._predictions([params])
        accuracy, precision = (predicted[0, column] + NOISE * rng.normal() for column in (0, PRECISION))
        seconds = self._seconds.predict(inputs)[0] * (1 + SECONDS_NOISE * rng.normal())
        return [accuracy, 10 ** inputs[0, -1], precision], {SECONDS: seconds - self._longest}

    @cached_property
    def _reference(self) -> Array:
        return np.array([-self.trivial[0], max(row[-1] for row in self._inputs), -self.trivial[2]])

    def _losses(self, inputs: Array, predicted: Array) -> Array:
        losses = np.stack([-predicted[:, 0], inputs[:, -1], -predicted[:, PRECISION]], axis=1)
        losses[self._seconds.predict(inputs) > self._longest] = np.inf
        return losses


def trees() -> TransformedTargetRegressor:
    """Return the regression: a split serves all outputs at once, and so must not serve those of large numbers alone."""
    forest = ExtraTreesRegressor(N_TREES, min_samples_leaf=MIN_LEAF, max_features=0.7, random_state=0)
    return TransformedTargetRegressor(forest, transformer=StandardScaler())
