"""From a study's history to the next point: an initial design first, then the best point of the acquisition function.

Legend:
    n, d, m   points, coordinates, objectives
    inputs    n x (d + number of objectives with exact values): coordinates, then exact losses
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autopeft.pareto import non_dominated
from autopeft.samplers.coverage import most_even
from autopeft.samplers.history import History
from autopeft.samplers.problem import Parameters, SearchProblem
from autopeft.samplers.scale import ObjectiveScale, Scale
from autopeft.surrogates.acquisition import AcquisitionInputs, Fit, acquisition
from autopeft.surrogates.feasibility import log_feasibility
from autopeft.surrogates.gaussian_process import GaussianProcess
from autopeft.surrogates.local_search import local_search
from autopeft.surrogates.observations import Observations
from autopeft.surrogates.saas import fit_saas, quantiles

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

N_RANDOM = 500
N_MUTATED = 500
N_TRIES = 8
"""Times that the random pool is drawn before it is taken as it is: some spaces are mostly invalid."""
MARGIN = 0.1
"""The reference lies so much of the observed range beyond the worst."""


@dataclass(frozen=True)
class Model:
    """How measured objectives are modelled."""

    fit: Fit
    """Makes the surrogate of one."""
    by_rank: bool = False
    """Whether losses are normal quantiles of their ranks, see `saas`."""
    structured: bool = True
    """Whether it knows the problem's features and which coordinates are flags of one kind."""


MODELS: Mapping[str, Model] = {
    "map": Model(GaussianProcess.fit),
    "saas": Model(fit_saas, by_rank=True, structured=False),  # the reference's search knows neither
}


class Exact(NamedTuple):
    """What is remembered of a point during a suggestion."""

    key: Hashable
    """None if it must not be proposed."""
    values: list[float]
    """m: the exact values, NaN for what is measured or has none."""


@dataclass(frozen=True)
class Proposer:
    """One suggestion in the making."""

    problem: SearchProblem
    history: History
    signs: Sequence[float]
    """m: 1 where smaller is better, else -1."""
    reference: Mapping[int, float]
    """Values, by objective index, from which on a point is worth nothing."""
    rng: np.random.Generator
    model: Model = MODELS["map"]
    _remembered: dict[tuple[Any, ...], Exact] = field(default_factory=dict, repr=False)
    """By the values of a point."""

    def initial_design(self) -> Parameters:
        """Return the point that leaves what was tried most evenly spread."""
        pool, scales = self.random_points(), self.scales()
        each = (self.history.tried, pool)
        covered = [np.concatenate([self.problem.coverage(points), self._exact_losses(points, scales)], axis=1) for points in each]
        return pool[most_even(*(np.nan_to_num(one).clip(0.0, 1.0) for one in covered))]

    def optimize_acquisition(self) -> Parameters:
        """Return the point that promises most; where nothing promises anything, the one that covers most.

        A point's score is the logarithm of its expected improvement plus that of the chance that it keeps to all bounds and doesn't fail. A
        local search starts from random points and from changes of the best ones so far.
        """
        pool, scales, history = self.random_points(), self.scales(), self.history
        losses = self.losses(scales, history.observed, history.values)
        complete = history.n_complete
        inputs = self._acquisition_inputs(scales, losses)
        log_improvement = acquisition(inputs, self.reference_losses(scales, losses[:complete]), self.model.fit)
        log_chance = log_feasibility(self.inputs(history.ended, scales), history.excess, inputs.groups)
        # Where no complete trial keeps to the bounds, the best are those that would be without them.
        leading = np.flatnonzero(history.feasible if history.feasible.any() else np.arange(len(losses)) < complete)
        best = [history.observed[i] for i in leading[non_dominated(losses[leading])]]
        pool = [*pool, *self.problem.mutate(best, N_MUTATED, self.rng)]

        def allowed_score(points: Sequence[Parameters]) -> Array:
            allowed = self.allowed(points)
            scores = np.full(len(points), -np.inf)
            if allowed.any():
                found = self.inputs([point for point, may in zip(points, allowed, strict=True) if may], scales)
                scores[allowed] = log_improvement(found) + log_chance(found)
            return np.where(np.isnan(scores), -np.inf, scores)

        point, height = local_search(pool, allowed_score, lambda point: self.problem.neighbours(point, self.rng))
        return point if np.isfinite(height) else self.initial_design()

    def random_points(self) -> list[Parameters]:
        """Return random points that may be proposed; repeats if nothing else may be, and any if nothing may be."""
        drawn = self.problem.sample(N_RANDOM, self.rng)
        found = self._select(drawn, self.allowed(drawn))
        for _ in range(N_TRIES):
            if len(found) >= N_RANDOM // 2:
                return found
            more = self.problem.sample(N_RANDOM, self.rng)
            found += self._select(more, self.allowed(more))
        return found or self._select(drawn, self.allowed(drawn, repeats=True)) or drawn

    def _select(self, points: Sequence[Parameters], which: Mask) -> list[Parameters]:
        return [point for point, is_one in zip(points, which, strict=True) if is_one]

    def allowed(self, points: Sequence[Parameters], *, repeats: bool = False) -> Mask:
        """Return which points may be proposed: of finite exact values and no violation, and, unless repeats may be, new."""
        keys = [self._look(point).key for point in points]
        return np.array([key is not None and (repeats or key not in self._taken) for key in keys], dtype=np.bool_)

    @cached_property
    def _taken(self) -> set[Hashable]:
        return {self._look(point).key for point in self.history.tried}

    def _look(self, point: Parameters) -> Exact:
        """Return what the problem says of a point; a suggestion looks at some several times."""
        values = tuple(point.values())
        if values not in self._remembered:
            costs = self.problem.exact_costs(point)
            self._remembered[values] = Exact(self.problem.key(point), [costs.get(index, math.nan) for index in range(len(self.signs))])
        return self._remembered[values]

    def _exact_values(self, points: Sequence[Parameters]) -> Array:
        """Return n x m exact values, NaN for what is measured or has none."""
        return np.array([self._look(point).values for point in points], dtype=np.float64).reshape(len(points), len(self.signs))

    def scales(self) -> list[Scale]:
        """Return the scale of each objective, of a measured one over what was observed, of an exact one over some points beside.

        These points are the same every time: what a surrogate learns is then on the same scale from one suggestion to the next.
        """
        points = self.problem.sample(N_RANDOM, np.random.default_rng(0))
        complete = self.history.observed[: self.history.n_complete]
        exact = self._exact_values([*self._select(points, self.allowed(points, repeats=True)), *complete])
        return [
            ObjectiveScale.over(exact[:, index], sign, is_cost=index in self.problem.costs or None)
            if index in self.problem.exact_objectives
            else self._measured_scale(index, sign)
            for index, sign in enumerate(self.signs)
        ]

    def _measured_scale(self, index: int, sign: float) -> Scale:
        values = self.history.values[: self.history.n_complete, index]
        if not self.model.by_rank:
            return ObjectiveScale.over(values, sign, is_cost=index in self.problem.costs or None)
        in_quantiles = quantiles(sign * values)
        return lambda some: in_quantiles(sign * some)

    def _exact_losses(self, points: Sequence[Parameters], scales: Sequence[Scale]) -> Array:
        values, indices = self._exact_values(points), self.problem.exact_objectives
        columns = [scales[index](values[:, index]) for index in indices]
        # An observed point may have no finite value by now: it counts as expensive.
        found = np.array(columns, dtype=np.float64).reshape(len(indices), len(points)).T
        return np.nan_to_num(found, nan=1.0, posinf=1.0, neginf=1.0)

    def inputs(self, points: Sequence[Parameters], scales: Sequence[Scale]) -> Array:
        """Return the inputs of points: coordinates, features, then exact losses."""
        coordinates = [self.problem.encode(points)] + ([self.problem.features(points)] if self.model.structured else [])
        return np.concatenate([*coordinates, self._exact_losses(points, scales)], axis=1)

    def losses(self, scales: Sequence[Scale], points: Sequence[Parameters], values: Array) -> Array:
        """Return the losses of points with these values; exact ones are worked out, not read."""
        exact = self._exact_values(points)
        values = np.where(np.isfinite(exact), exact, values)
        return np.stack([scale(values[:, index]) for index, scale in enumerate(scales)], axis=1)

    def _acquisition_inputs(self, scales: Sequence[Scale], losses: Array) -> AcquisitionInputs:
        history, exact = self.history, self.problem.exact_objectives
        seen = self.inputs([*history.observed, *history.running], scales)  # at once: what runs may be none, and none has no width
        observed, running = seen[: len(losses)], seen[len(losses) :]
        columns = {index: seen.shape[1] - len(exact) + at for at, index in enumerate(exact)}
        return AcquisitionInputs(
            Observations(observed, losses, history.fidelities),
            history.feasible,
            running,
            tuple(columns.get(index) for index in range(len(scales))),
            self.problem.flag_columns if self.model.structured else (),
        )

    def reference_losses(self, scales: Sequence[Scale], losses: Array) -> Array:
        """Return the losses from which on a point is worth nothing, given those that were observed."""
        reference: Array = losses.max(axis=0) + MARGIN * np.ptp(losses, axis=0)
        for index, value in self.reference.items():
            reference[index] = scales[index](np.array(value))
        return reference
