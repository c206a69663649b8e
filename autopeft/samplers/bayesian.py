"""A Bayesian sampler for a handful of objectives, some of which may be exact before a trial runs."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from autopeft.errors import InvalidInputError
from autopeft.samplers.distinct import trial_seed
from autopeft.samplers.history import read_history, shared_space
from autopeft.samplers.partial import ReadEarly, nothing_early
from autopeft.samplers.problem import Parameters, SearchProblem
from autopeft.samplers.proposal import MODELS, Proposer
from autopeft.surrogates.threads import one_thread

SurrogateName = Literal["map", "saas"]

MAX_OBJECTIVES = 4
N_INITIAL = 8
"""A portfolio's points are among them. More points that cover the space evenly beside these added nothing to a front on TREC and SST-2."""
MIN_OBSERVED = 3
"""Fewer observations than this can't tell a surrogate anything."""


class BayesianSampler(BaseSampler):
    """Proposes where a surrogate of the measured objectives expects most hypervolume, exact objectives taken as they are.

    Works in any Optuna study of one to four objectives over integers, floats and categories, by `study.ask(distributions)` and
    `study.tell`. It keeps no state: every proposal follows from the study's record, the seed and the trial's number.

    Completed trials with finite values teach the surrogate. Failed trials teach where trials fail, and Optuna's constraints
    (`trial.set_constraint`) where bounds on what is measured are exceeded. Trials that stopped or wait before their end teach by their
    early measurements, which never pass for final values. None is repeated.
    Running trials are taken to end as expected, so that proposals made at once spread out; those whose parameters aren't all
    stored yet are ignored. No point is proposed twice as long as there is another that may be.

    Args:
        exact_costs: By objective index, the function from a trial's parameters to its value, if no problem is given. It is trusted over
            what trials measure.
        seed: Seeds every proposal, with the trial's number.
        problem: What is known of points without trying them. If left out, what the distributions of finished trials say; the first
            trial of a study is then drawn at random.
        n_initial: Trials that cover the space before the surrogate leads.
        reference: By objective index, the value from which on a point is worth nothing. If left out it is the problem's trivial value, or
            follows from the record.
        read_early: A trial's measurements before its end; without it, stopped trials teach nothing.
        surrogate: "map", hyper-parameters of highest posterior density and a kernel that weighs layers; or "saas", those of AutoPEFT's
            search, sampled under sparse priors, over the ranks of measured values: ten seconds a proposal, and its packages are an extra.

    Raises:
        InvalidInputError: There would be no initial trial, or exact costs are given beside a problem.
    """

    def __init__(
        self,
        exact_costs: Mapping[int, Callable[[Parameters], float]] | None = None,
        seed: int = 0,
        *,
        problem: SearchProblem | None = None,
        n_initial: int = N_INITIAL,
        reference: Mapping[int, float] | None = None,
        read_early: ReadEarly = nothing_early,
        surrogate: SurrogateName = "map",
    ) -> None:
        if n_initial < 1:
            raise InvalidInputError("n_initial must be at least 1", value=n_initial)
        if problem is not None and exact_costs:
            raise InvalidInputError("exact costs belong to the problem, if there is one", value=sorted(exact_costs))
        self._exact_costs, self._seed, self._problem = dict(exact_costs or {}), seed, problem
        self._n_initial = n_initial
        self._reference = dict(reference or {})
        self._read_early = read_early
        self._surrogate = surrogate

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the space in which points are proposed whole."""
        return self._problem.distributions if self._problem is not None else shared_space(study.get_trials(deepcopy=False))

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> Parameters:
        """Propose a point.

        Raises:
            InvalidInputError: The study has more than four objectives, or not one whose value or reference is given.
        """
        if not search_space:
            self._require_objectives(study, self._exact_costs)
            return {}
        problem = self._problem if self._problem is not None else SearchProblem(search_space, self._exact_costs)
        reference = problem.trivial | self._reference
        self._require_objectives(study, (*problem.exact_objectives, *reference))
        others = [other for other in study.get_trials(deepcopy=False) if other.number != trial.number]
        history = read_history(others, problem.distributions, len(study.directions), self._read_early)
        rng = np.random.default_rng(trial_seed(self._seed, trial.number))
        signs = [-1.0 if direction == StudyDirection.MAXIMIZE else 1.0 for direction in study.directions]
        return self._propose(Proposer(problem, history, signs, reference, rng, MODELS[self._surrogate]))

    def sample_independent(self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution) -> Any:
        """Draw the value of a parameter that isn't part of the shared space."""
        # The name is part of the seed, or parameters of one distribution would always be equal.
        rng = np.random.default_rng([trial_seed(self._seed, trial.number), *param_name.encode()])
        return SearchProblem({param_name: param_distribution}).sample(1, rng)[0][param_name]

    def _propose(self, proposer: Proposer) -> Parameters:
        history = proposer.history
        if len(history.tried) < self._n_initial or history.n_complete < MIN_OBSERVED:
            return proposer.initial_design()
        with one_thread():
            return proposer.optimize_acquisition()

    def _require_objectives(self, study: Study, indices: Iterable[int]) -> None:
        n_objectives = len(study.directions)
        if n_objectives > MAX_OBJECTIVES:
            raise InvalidInputError(f"the sampler takes up to {MAX_OBJECTIVES} objectives", value=n_objectives)
        if unknown := [index for index in indices if not 0 <= index < n_objectives]:
            raise InvalidInputError(f"objectives are counted from 0 to {n_objectives - 1}", value=unknown[0])
