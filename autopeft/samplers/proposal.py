"""From a study's history to the next point: an initial design first, then the best point of the acquisition function.

Legend:
    n, p, d, m   observed points, parameters, coordinates, objectives
    rows         points (see `grid`)
    inputs       n x (d + number of known objectives): coordinates, then known losses
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autopeft.pareto import non_dominated
from autopeft.samplers.coverage import most_even
from autopeft.samplers.history import History
from autopeft.samplers.scale import ObjectiveScale, Scale
from autopeft.samplers.view import View
from autopeft.surrogates.acquisition import Evidence, Fit, acquisition
from autopeft.surrogates.feasibility import log_feasibility
from autopeft.surrogates.gaussian_process import GaussianProcess
from autopeft.surrogates.local_search import climb
from autopeft.surrogates.saas import quantiles

Array = NDArray[np.float64]

N_RANDOM = 500
N_MUTATED = 500
N_TRIES = 8
"""Times that the random pool is drawn before it is taken as it is: some spaces are mostly invalid."""
MARGIN = 0.1
"""The reference lies so much of the observed range beyond the worst."""


@dataclass(frozen=True)
class Proposer:
    """One suggestion in the making."""

    view: View
    history: History
    reference: Mapping[int, float]
    """Values, by objective index, from which on a point is worth nothing."""
    rng: np.random.Generator
    fit: Fit = GaussianProcess.fit
    """Makes the surrogate of a measured objective."""
    by_rank: bool = False
    """Whether a measured objective's losses are normal quantiles of their ranks, see `saas`."""

    def cover(self) -> Array:
        """Return the row that leaves what was tried most evenly spread."""
        pool, scales = self._random_rows(), self._scales()
        each = (self.history.tried, pool)
        summaries = [np.concatenate([self.view.grid.summarise(rows), self._known(rows, scales)], axis=1) for rows in each]
        best: Array = pool[most_even(*(np.nan_to_num(one).clip(0.0, 1.0) for one in summaries))]
        return best

    def improve(self) -> Array:
        """Return the row that promises most; where nothing promises anything, the one that covers most."""
        pool, scales = self._random_rows(), self._scales()
        losses = self._losses(scales, self.history.observed, self.history.values)
        promise = acquisition(self._evidence(scales, losses), self._reference_losses(scales, losses), self.fit)
        log_chance = log_feasibility(self._inputs(self.history.ended, scales), self.history.excess, self.view.flag_groups)
        leading = self.history.feasible if self.history.feasible.any() else np.ones_like(self.history.feasible)
        best = self.history.observed[leading][non_dominated(losses[leading])]
        pool = np.concatenate([pool, self.view.grid.mutate(best, N_MUTATED, self.rng)])

        def allowed_score(rows: Array) -> Array:
            allowed = self.view.allowed(rows)
            scores = np.full(len(rows), -np.inf)
            if allowed.any():
                inputs = self._inputs(rows[allowed], scales)
                scores[allowed] = promise(inputs) + log_chance(inputs)
            return np.where(np.isnan(scores), -np.inf, scores)

        row, height = climb(pool, allowed_score, lambda row: self.view.neighbours(row, self.rng))
        return row if np.isfinite(height) else self.cover()

    def _random_rows(self) -> Array:
        """Return random rows that may be proposed; repeats if nothing else may be, and any if nothing may be."""
        drawn = self.view.grid.sample(N_RANDOM, self.rng)
        found = drawn[self.view.allowed(drawn)]
        for _ in range(N_TRIES):
            if len(found) >= N_RANDOM // 2:
                return found
            more = self.view.grid.sample(N_RANDOM, self.rng)
            found = np.concatenate([found, more[self.view.allowed(more)]])
        if len(found):
            return found
        repeats = drawn[self.view.allowed(drawn, repeats=True)]
        return repeats if len(repeats) else drawn

    def _scales(self) -> list[Scale]:
        """Return the scale of each objective, of a measured one over what was observed, of a known one over some points beside.

        These points are the same every time: what a surrogate learns is then on the same scale from one suggestion to the next.
        """
        rows = self.view.grid.sample(N_RANDOM, np.random.default_rng(0))
        allowed = self.view.allowed(rows, repeats=True)
        known = self.view.known_values(np.concatenate([rows[allowed], self.history.observed]))
        signs = enumerate(self.view.signs)
        return [ObjectiveScale.over(known[:, i], sign) if i in self.view.known else self._measured_scale(i, sign) for i, sign in signs]

    def _measured_scale(self, index: int, sign: float) -> Scale:
        values = self.history.values[:, index]
        if not self.by_rank:
            return ObjectiveScale.over(values, sign)
        in_quantiles = quantiles(sign * values)
        return lambda some: in_quantiles(sign * some)

    def _known(self, rows: Array, scales: Sequence[Scale]) -> Array:
        values = self.view.known_values(rows)
        columns = [scales[index](values[:, index]) for index in self.view.known]
        # An observed point may have no finite value by now: it counts as expensive.
        return np.nan_to_num(np.array(columns, dtype=np.float64).reshape(len(columns), len(rows)).T, nan=1.0, posinf=1.0, neginf=1.0)

    def _inputs(self, rows: Array, scales: Sequence[Scale]) -> Array:
        return np.concatenate([self.view.coordinates(rows), self._known(rows, scales)], axis=1)

    def _losses(self, scales: Sequence[Scale], rows: Array, values: Array) -> Array:
        """Return the losses of rows with these values; known ones are worked out, not read."""
        known = self.view.known_values(rows)
        values = np.where(np.isfinite(known), known, values)
        return np.stack([scale(values[:, index]) for index, scale in enumerate(scales)], axis=1)

    def _evidence(self, scales: Sequence[Scale], losses: Array) -> Evidence:
        # Encoded at once: nothing may run, and a caller's encoding of no points has no width.
        history = self.history
        seen = self._inputs(np.concatenate([history.observed, history.running, history.unfinished]), scales)
        observed, running, unfinished = np.split(seen, np.cumsum([len(losses), len(history.running)]))
        first = seen.shape[1] - len(self.view.known)
        places = {index: first + at for at, index in enumerate(self.view.known)}
        columns = tuple(places.get(index) for index in range(len(scales)))
        extrapolated = self._losses(scales, history.unfinished, history.extrapolated)
        return Evidence(
            observed, losses, running, columns, history.feasible, unfinished, extrapolated, history.remaining, self.view.flag_groups
        )

    def _reference_losses(self, scales: Sequence[Scale], losses: Array) -> Array:
        reference: Array = losses.max(axis=0) + MARGIN * np.ptp(losses, axis=0)
        for index, value in self.reference.items():
            reference[index] = scales[index](np.array(value))
        return reference
