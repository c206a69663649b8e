"""A Bayesian sampler for a handful of objectives, some of which may be known before a trial runs.

Legend:
    m, p, d   objectives, parameters, coordinates
    row       p numbers, a point (see `grid`)
    loss      an objective's value, scaled so that smaller is better, on a log scale where it is a cost (see `scale`)
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from autopeft.errors import InvalidInputError
from autopeft.samplers.distinct import trial_seed
from autopeft.samplers.grid import Grid
from autopeft.samplers.history import read_history, shared_space
from autopeft.samplers.partial import ReadEarly, nothing_early
from autopeft.samplers.proposal import Proposer
from autopeft.samplers.view import SpaceHints, View
from autopeft.surrogates.acquisition import Fit
from autopeft.surrogates.gaussian_process import GaussianProcess
from autopeft.surrogates.saas import fit_saas
from autopeft.surrogates.threads import one_thread

Parameters = dict[str, Any]

Surrogate = Literal["map", "saas"]
FITS: Mapping[Surrogate, Fit] = {"map": GaussianProcess.fit, "saas": fit_saas}

MAX_OBJECTIVES = 4
N_INITIAL = 16
MIN_OBSERVED = 3
"""Fewer observations than this can't tell a surrogate anything."""


class BayesianSampler(BaseSampler):
    """Proposes where a surrogate of the measured objectives expects most hypervolume, known objectives taken exactly.

    Works in any Optuna study of one to four objectives over integers, floats and categories, by `study.ask(distributions)` and
    `study.tell`. It keeps no state: every proposal follows from the study's record, the seed and the trial's number.

    Completed trials with finite values teach the surrogate. Failed trials teach where trials fail, and Optuna's constraints
    (`trial.set_constraint`) where bounds on what is measured are exceeded. Trials that stopped or wait before their end teach by their
    early measurements, which never pass for final values. None is repeated.
    Running trials are taken to end as expected, so that proposals made at once spread out; those whose parameters aren't all
    stored yet are ignored. No point is proposed twice as long as there is another that may be.

    Args:
        known: By objective index, the function from a trial's parameters to its value. It is trusted over what trials tell.
        seed: Seeds every proposal, with the trial's number.
        distributions: The space of every trial. If left out it is what finished trials share; the first trial of a study
            is then drawn at random.
        hints: What else is known of the space.
        n_initial: Trials that cover the space before the surrogate leads.
        reference: By objective index, the value from which on a point is worth nothing. If left out it follows from the record.
        read_early: A trial's measurements before its end; without it, stopped trials teach nothing.
        surrogate: "map", hyper-parameters of highest posterior density and a kernel that weighs layers; or "saas", those of AutoPEFT's
            search, sampled under sparse priors, over the ranks of measured values: ten seconds a proposal, and its packages are an extra.

    Raises:
        InvalidInputError: There would be no initial trial.
    """

    def __init__(
        self,
        known: Mapping[int, Callable[[Parameters], float]] | None = None,
        seed: int = 0,
        *,
        distributions: Mapping[str, BaseDistribution] | None = None,
        hints: SpaceHints | None = None,
        n_initial: int = N_INITIAL,
        reference: Mapping[int, float] | None = None,
        read_early: ReadEarly = nothing_early,
        surrogate: Surrogate = "map",
    ) -> None:
        if n_initial < 1:
            raise InvalidInputError("n_initial must be at least 1", value=n_initial)
        self._known, self._seed = dict(known or {}), seed
        self._distributions = dict(distributions or {})
        self._hints = hints or SpaceHints()
        self._n_initial = n_initial
        self._reference = dict(reference or {})
        self._read_early = read_early
        self._surrogate = surrogate

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the space in which points are proposed whole."""
        return self._distributions or shared_space(study.get_trials(deepcopy=False))

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> Parameters:
        """Propose a point.

        Raises:
            InvalidInputError: The study has more than four objectives, or a known one that it hasn't.
        """
        self._require_objectives(study)
        if not search_space:
            return {}
        grid = Grid(search_space)
        others = [other for other in study.get_trials(deepcopy=False) if other.number != trial.number]
        history = read_history(others, grid, len(study.directions), self._read_early)
        rng = np.random.default_rng(trial_seed(self._seed, trial.number))
        signs = [-1.0 if direction == StudyDirection.MAXIMIZE else 1.0 for direction in study.directions]
        view = View(grid, self._known, signs, self._hints, history.tried)
        by_rank = self._surrogate == "saas"
        return grid.write(self._propose(Proposer(view, history, self._reference, rng, FITS[self._surrogate], by_rank)))

    def sample_independent(self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution) -> Any:
        """Draw the value of a parameter that isn't part of the shared space."""
        # The name is part of the seed, or parameters of one distribution would always be equal.
        rng = np.random.default_rng([trial_seed(self._seed, trial.number), *param_name.encode()])
        grid = Grid({param_name: param_distribution})
        return grid.write(grid.sample(1, rng)[0])[param_name]

    def _propose(self, proposer: Proposer) -> NDArray[np.float64]:
        history = proposer.history
        if len(history.tried) < self._n_initial or len(history.observed) < MIN_OBSERVED:
            return proposer.cover()
        with one_thread():
            return proposer.improve()

    def _require_objectives(self, study: Study) -> None:
        n_objectives = len(study.directions)
        if n_objectives > MAX_OBJECTIVES:
            raise InvalidInputError(f"the sampler takes up to {MAX_OBJECTIVES} objectives", value=n_objectives)
        if unknown := [index for index in (*self._known, *self._reference) if not 0 <= index < n_objectives]:
            raise InvalidInputError(f"objectives are counted from 0 to {n_objectives - 1}", value=unknown[0])
