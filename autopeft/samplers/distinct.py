"""A wrapper that keeps any Optuna sampler from proposing what the study already has."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from autopeft.samplers.problem import Parameters, SearchProblem

MAX_STEPS = 200


class DistinctSampler(BaseSampler):
    """Proposes whole points, each meaning something that no earlier or running trial means.

    Every trial gets a sampler of its own, made from the study's seed and the trial's number: the stream of proposals then depends
    on the study's record alone, so a resumed study goes on where it stopped instead of starting over.

    A proposal that repeats an earlier one, or that must not be made, is moved by random single steps until it is new; steps that
    bring it nearer to what is allowed go before others. If the space is so small that this fails, the repeat is let through, as a
    replicate; what must not be proposed never is, if there is a fallback. Failed trials count as seen: trying the same again would
    fail again. Trials that Optuna holds in its queue are not looked at.

    Args:
        make: Makes the wrapped sampler from a seed.
        seed: The study's seed.
        problem: What points mean, what lies one step away from them and which are allowed.
        fallback: A point that may be proposed.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int, problem: SearchProblem, fallback: Parameters | None = None) -> None:
        self._make, self._seed, self._problem, self._fallback = make, seed, problem, fallback
        self._seen: dict[int, Hashable] = {}
        self._inner = make(seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Make the trial's own sampler."""
        self._inner = self._make(trial_seed(self._seed, trial.number))
        self._inner.before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Pass on to the wrapped sampler."""
        self._inner.after_trial(study, trial, state, values)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the whole space: points are proposed whole, or a repeat could not be seen."""
        return self._problem.distributions

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> Parameters:
        """Propose a point, moved until it is new."""
        inner_space = self._inner.infer_relative_search_space(study, trial)
        point = dict(self._inner.sample_relative(study, trial, inner_space))
        for name, distribution in self._problem.distributions.items():
            if name not in point:
                point[name] = self._inner.sample_independent(study, trial, name, distribution)
        return self._move_until_new(point, self._keys(study, trial), np.random.default_rng(trial_seed(self._seed, trial.number)))

    def sample_independent(self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution) -> Any:
        """Pass on to the wrapped sampler; only reached for a parameter outside the fixed space."""
        return self._inner.sample_independent(study, trial, param_name, param_distribution)

    def _keys(self, study: Study, trial: FrozenTrial) -> set[Hashable]:
        for other in study.get_trials(deepcopy=False):
            # A trial asked for at the same moment may not have all its parameters in the storage yet.
            if (
                other.number != trial.number
                and other.number not in self._seen
                and other.params.keys() >= self._problem.distributions.keys()
            ):
                self._seen[other.number] = self._problem.key(other.params)
        return {None, *self._seen.values()}

    def _move_until_new(self, point: Parameters, taken: set[Hashable], rng: np.random.Generator) -> Parameters:
        found = self._walk(point, taken, rng)
        if found is None and self._fallback is not None:
            found = self._walk(self._fallback, taken, rng, stay_allowed=True)
            point = self._fallback if self._problem.key(point) is None else point
        return point if found is None else found

    def _walk(self, point: Parameters, taken: set[Hashable], rng: np.random.Generator, *, stay_allowed: bool = False) -> Parameters | None:
        """Return the first new point on a random walk, if any."""
        for _ in range(MAX_STEPS):
            if self._problem.key(point) not in taken:
                return point
            reached = self._problem.neighbours(point, rng)
            if not reached:
                return None
            candidates = [reached[index] for index in rng.permutation(len(reached))]
            violation = self._problem.violation(point)
            if stay_allowed:
                better = (one for one in candidates if self._problem.key(one) is not None)
            else:
                better = (one for one in candidates if violation > 0 and self._problem.violation(one) < violation)
            point = next(better, point if stay_allowed else candidates[0])
        return None


def trial_seed(seed: int, number: int) -> int:
    """Return the seed of a trial: a 31-bit number that depends on the study's seed and the trial's number alone."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0] >> 1)
