"""Which point to train at the full budget next: one that was tried at low cost, or a new one.

Legend:
    n, N   tried points, points to score
    m      objectives

The surrogates of low-cost losses are joined with those of what is missing to the full budget (`two_fidelities`), and the acquisition
function is that of a proposal, over what they say of the full budget. The first point is the one that is expected to be best in the first
objective. But a difference of less than a standard error says nothing, and few modules in few layers gain less from more training than
others do (benchmarks/RESULTS.md): of trials so near the best that the search began with, as known to be good elsewhere, the first is
taken. Then turns alternate between the front (expected hypervolume improvement) and its best end (expected improvement of the first
objective alone): a search is judged by both.

At low cost a surrogate of the early loss, such as the task's loss, is a coordinate beside the others that may explain a bias.

A trial that collapsed at low cost, no better than a quarter of the way from a trivial answer to the best, tells little of how good its
configuration is if the full budget makes it learn, and teaches the surrogates nothing. On fifteen configurations of TREC this raised the
rank correlation of expectations with what the full budget gave from 0.54 to 0.82 (benchmarks/RESULTS.md). But it does tell where trials
collapse. So what a point promises if it learns is weighed with the chance that it does:

- of a new point, that it doesn't collapse in the low-cost trial that it gets first: a surrogate of all trials says so, averaged over its
  hyper-parameters, for where nothing was tried a single set of them is too sure. That trial costs something too, so what a new point
  promises is divided by its cost with that trial, in confirmations;
- of a trial that collapsed, what the same surrogate would have said of it without its own measurement, times the share of those that learnt
  after all at the full budget, by Laplace's rule of succession: (learnt + 1) / (trained + 2). One that collapsed among others that learnt
  may get its turn; one among others that collapsed doesn't.

A training that collapses at the full budget teaches those chances alone as well.

Where no trial is better than a trivial answer by more than chance gives the best of a few, low cost says nothing: all collapsed. Then the
trials are confirmed in the order in which they were tried, for a search begins with what is known to be good elsewhere.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from autopeft.samplers.problem import Parameters
from autopeft.samplers.proposal import N_MUTATED, Proposer
from autopeft.samplers.scale import ObjectiveScale, Scale
from autopeft.surrogates.averaged import fit_averaged
from autopeft.surrogates.exact_improvement import HypervolumeImprovement
from autopeft.surrogates.feasibility import log_feasibility
from autopeft.surrogates.gaussian_process import MAX_KEPT, GaussianProcess
from autopeft.surrogates.local_search import local_search
from autopeft.surrogates.mixture import Mixture
from autopeft.surrogates.threads import one_thread
from autopeft.surrogates.two_fidelities import LowCost, TwoFidelities

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

MIN_TAUGHT = 3
"""Fewer trials than this can't tell a surrogate anything: the best measured goes first."""
COLLAPSED_SHARE = 0.25
BY_CHANCE = 2.0
"""The best of a few trials that learnt nothing may lie so many standard errors above the trivial score."""
N_BEST = 8
"""So many of the tried points are mutated into new ones."""


@dataclass(frozen=True)
class Tried:
    """A complete trial at low cost, and what is known of it at the full budget."""

    params: Parameters
    values: tuple[float, ...]
    """m, at low cost."""
    early: float
    """A loss of the task that ranks early, at low cost; NaN if there is none."""
    full: tuple[float, ...] | None = None
    """m, at the full budget; None if it was not measured there."""
    runs: bool = False
    """Whether it is being trained at the full budget."""
    is_known: bool = False
    """Whether the search began with it, as known to be good elsewhere."""
    is_open: bool = True
    """Whether it may be chosen: it keeps to all bounds and wasn't chosen before."""


@dataclass(frozen=True)
class FullBudgetProposer:
    """One choice in the making.

    Args:
        proposer: The search's history, and what turns points into inputs and losses.
        tried: All complete trials.
        new_costs: What the low-cost trial of a new point costs, in confirmations.
        trivial_error: Standard error of the trivial value of the first objective, over the examples that low-cost trials are measured on.
    """

    proposer: Proposer
    tried: Sequence[Tried]
    new_costs: float = 0.0
    trivial_error: float = 0.0

    def choose(self, *, may_be_new: bool) -> int | Parameters | None:
        """Return the index of an open trial, or a new point that promises more; None if there is neither."""
        with one_thread():
            return self._choose(may_be_new)

    def predict(self, points: Sequence[Parameters]) -> tuple[Array, Array]:
        """Return the means and standard deviations, N x m, of what points lose at the full budget if they learn at all."""
        inputs, exact = self._inputs(points), self._exact_columns
        each = [
            (inputs[:, exact[index]], np.zeros(len(points))) if index in exact else self._pairs[index].predict(self._low(index, points))
            for index in range(len(self.proposer.signs))
        ]
        return np.stack([mean for mean, _ in each], axis=1), np.stack([deviation for _, deviation in each], axis=1)

    def _choose(self, may_be_new: bool) -> int | Parameters | None:
        open_ = [index for index, one in enumerate(self.tried) if one.is_open]
        if not self._learnt.any():
            return next(iter(open_), None)
        if len(self._teachers) < MIN_TAUGHT:
            return min(open_, key=lambda index: self.proposer.signs[0] * self.tried[index].values[0], default=None)
        if not self._begun:
            first = [index for index in open_ if self._learnt[index]] or open_
            return self._surest(first) if first else None
        promises = self._promise([self.tried[index].params for index in open_]) if open_ else np.empty(0)
        promises += self._log_chances_to_learn[open_]
        if may_be_new:
            point, promise = self._search()
            if promise - np.log1p(self.new_costs) > promises.max(initial=-np.inf):
                return point
        return open_[int(np.argmax(promises))] if open_ else None

    def _surest(self, indices: Sequence[int]) -> int:
        """Return the trial that is expected to be best, or the first known one that is within a standard error of it."""
        means = self.predict([self.tried[index].params for index in indices])[0][:, 0]
        values, scale = np.array([self.tried[index].values[0] for index in indices]), self._scales[0]
        best = values[np.argmin(scale(values))]
        within = means.min() + abs(float(scale(best + self.trivial_error)) - float(scale(best)))
        near = (index for index, mean in zip(indices, means, strict=True) if mean <= within and self.tried[index].is_known)
        return next(near, indices[int(np.argmin(means))])

    def _search(self) -> tuple[Parameters, float]:
        """Return the new point that promises most, and its promise; minus infinity if nothing new may be proposed."""
        proposer, problem = self.proposer, self.proposer.problem
        means = self.predict([one.params for one in self.tried])[0][:, 0]
        leaders = [self.tried[index].params for index in np.argsort(means, kind="stable")[:N_BEST]]
        pool = [*proposer.random_points(), *problem.mutate(leaders, N_MUTATED, proposer.rng)]

        def allowed_promise(points: Sequence[Parameters]) -> Array:
            allowed = proposer.allowed(points)
            found = np.full(len(points), -np.inf)
            if allowed.any():
                those = [point for point, may in zip(points, allowed, strict=True) if may]
                found[allowed] = self._promise(those) + self._log_chance_to_learn(those)
            return found

        return local_search(pool, allowed_promise, lambda point: problem.neighbours(point, proposer.rng))

    def _promise(self, points: Sequence[Parameters]) -> Array:
        """Return the score of points if they learn, N; minus infinity where nothing can be won."""
        mean, deviation = self.predict(points)
        improvement = self._improvement.log_expected(mean[:, self._chosen], deviation[:, self._chosen])
        found = improvement + self._log_feasibility(self._inputs(points))
        return np.where(np.isnan(found), -np.inf, found)

    def _log_chance_to_learn(self, points: Sequence[Parameters]) -> Array:
        """Return the logarithms of the chances of new points not to collapse at low cost, N."""
        if self._learnt.all():
            return np.zeros(len(points))
        mean, deviation = self._of_all.predict(self._inputs(points))
        return self._log_chance(mean, np.hypot(deviation, self._of_all.noise_deviation))

    @cached_property
    def _log_chances_to_learn(self) -> Array:
        """The logarithms of the chances of the tried points to learn at the full budget, n; 0 of those that learnt at low cost."""
        if self._learnt.all():
            return np.zeros(len(self.tried))
        recovered = [
            self._learns(one.full) for one, learnt in zip(self.tried, self._learnt, strict=True) if not learnt and one.full is not None
        ]
        share = (sum(recovered) + 1) / (len(recovered) + 2)
        chances = self._log_chance_to_learn([one.params for one in self.tried])
        chances[-MAX_KEPT:] = self._log_chance(*self._of_all.leave_one_out())
        return np.where(self._learnt, 0.0, math.log(share) + chances)

    def _log_chance(self, mean: Array, deviation: Array) -> Array:
        least = self._scales[0](np.array(self._least))
        result: Array = torch.special.log_ndtr(torch.as_tensor((least - mean) / deviation)).numpy()
        return result

    @cached_property
    def _of_all(self) -> Mixture:
        """The surrogate of the first loss at low cost, collapsed trials among them; of very many the latest, whose leave-outs it knows."""
        latest = slice(-MAX_KEPT, None)
        return fit_averaged(self._inputs([one.params for one in self.tried[latest]]), self._low_losses[latest, 0], self._groups)

    @cached_property
    def _log_feasibility(self) -> Callable[[Array], Array]:
        history = self.proposer.history
        return log_feasibility(self._inputs(history.ended), history.excess, self._groups)

    @cached_property
    def _chosen(self) -> slice:
        """The objectives that count in this turn."""
        return slice(0, 1) if len(self._begun) % 2 == 0 else slice(None)

    @cached_property
    def _improvement(self) -> HypervolumeImprovement:
        """What scores improvement on the points that were chosen so far."""
        means, _ = self.predict([one.params for one in self.tried])
        reference = self.proposer.reference_losses(self._scales, np.concatenate([means, self._low_losses]))
        return HypervolumeImprovement(self._incumbents()[:, self._chosen], reference[self._chosen])

    def _incumbents(self) -> Array:
        """Return the losses of the points that were chosen so far: what is expected, and of those that collapsed what was measured."""
        means, _ = self.predict([one.params for one in self._begun])
        for at, one in enumerate(self._begun):
            if one.full is not None and not self._learns(one.full):
                means[at] = [scale(np.array(value)) for scale, value in zip(self._scales, one.full, strict=True)]
        return means

    @cached_property
    def _begun(self) -> list[Tried]:
        """Those that were or are trained at the full budget."""
        return [one for one in self.tried if one.full is not None or one.runs]

    @cached_property
    def _least(self) -> float:
        """The value of the first objective that a trial must exceed not to have collapsed.

        Every value exceeds it where none is trivial, and none does where the best of the trials may be one by chance.
        """
        trivial, sign = self.proposer.reference.get(0), self.proposer.signs[0]
        if trivial is None or not self.tried:
            return sign * math.inf
        best = sign * min(sign * one.values[0] for one in self.tried)
        if -sign * (best - trivial) <= BY_CHANCE * self.trivial_error:
            return -sign * math.inf
        return trivial + COLLAPSED_SHARE * (best - trivial)

    @cached_property
    def _learnt(self) -> Mask:
        """Which of the trials didn't collapse at low cost, n."""
        return np.array([self._learns(one.values) for one in self.tried], dtype=np.bool_)

    def _learns(self, values: Sequence[float]) -> bool:
        sign = self.proposer.signs[0]
        return sign * values[0] < sign * self._least

    @cached_property
    def _teachers(self) -> list[Tried]:
        """The trials that didn't collapse."""
        return [one for one, learnt in zip(self.tried, self._learnt, strict=True) if learnt]

    @cached_property
    def _scales(self) -> list[Scale]:
        return self.proposer.scales()

    @cached_property
    def _groups(self) -> tuple[tuple[int, ...], ...]:
        return self.proposer.problem.flag_columns

    @cached_property
    def _exact_columns(self) -> dict[int, int]:
        """By index of an objective that is exact, the input that it is, counted from the end."""
        exact = self.proposer.problem.exact_objectives
        return {index: at - len(exact) for at, index in enumerate(exact)}

    @cached_property
    def _low_losses(self) -> Array:
        """The losses at low cost, n x m."""
        return self.proposer.losses(self._scales, [one.params for one in self.tried], np.array([one.values for one in self.tried]))

    @cached_property
    def _low_surrogates(self) -> dict[int, GaussianProcess]:
        """By objective that is measured, the surrogate of its losses at low cost."""
        points = [one.params for one in self._teachers]
        inputs = self._inputs(points)
        losses = self.proposer.losses(self._scales, points, np.array([one.values for one in self._teachers]))
        measured = set(range(len(self.proposer.signs))) - self._exact_columns.keys()
        return {index: GaussianProcess.fit(inputs, losses[:, index], self._groups) for index in measured}

    @cached_property
    def _early_surrogate(self) -> GaussianProcess | None:
        """The surrogate of the early losses, between 0 and 1; None where there are none."""
        losses = np.array([one.early for one in self._teachers])
        if not np.isfinite(losses).all() or not np.ptp(losses):
            return None
        inputs = self._inputs([one.params for one in self._teachers])
        return GaussianProcess.fit(inputs, ObjectiveScale.over(losses, 1.0)(losses), self._groups)

    @cached_property
    def _pairs(self) -> dict[int, TwoFidelities]:
        """By objective that is measured, the model of its losses at the full budget."""
        done = [one for one in self.tried if one.full is not None and self._learns(one.full)]
        running = [one.params for one in self.tried if one.runs]
        pairs = {}
        for index, surrogate in self._low_surrogates.items():
            losses = self._scales[index](np.array([one.full[index] for one in done if one.full is not None], dtype=np.float64))
            low = self._low(index, [one.params for one in done])
            pairs[index] = TwoFidelities.fit(low, losses, surrogate.noise_deviation).fantasize(self._low(index, running))
        return pairs

    def _low(self, index: int, points: Sequence[Parameters]) -> LowCost:
        if not points:
            return LowCost(np.empty(0), np.empty(0), np.empty((0, 0)))
        inputs, coordinates = self._inputs(points), [self.proposer.problem.bias_coordinates(points)]
        if self._early_surrogate is not None:
            coordinates.append(self._early_surrogate.predict(inputs)[0][:, None])
        return LowCost(*self._low_surrogates[index].predict(inputs), np.concatenate(coordinates, axis=1))

    def _inputs(self, points: Sequence[Parameters]) -> Array:
        return self.proposer.inputs(points, self._scales)
