"""What other libraries do by default with several objectives, as Optuna samplers: Ax and Syne Tune, where they are installed.

    pip install ax-platform syne-tune

Both are told what a user would tell them: the space, directions, costs as logarithms and, where they have a place for them, bounds.
"""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import torch
from optuna import Study
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState
from problems.problem import Problem


class _OutsideSampler(BaseSampler):
    """Tells a library of every trial that ended since it was last asked, then asks it for the next."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self._distributions, self._directions, self._seed = dict(problem.search_problem.distributions), tuple(problem.directions), seed
        self._costs = frozenset(problem.search_problem.exact_objectives)
        self._open: dict[int, Any] = {}
        """By trial, what the library knows it by."""

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._distributions

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        for done in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
            if done.number in self._open:
                losses = {f"loss{index}": self._loss(index, value) for index, value in enumerate(done.values)}
                self._tell(self._open.pop(done.number), losses, done.constraints)
        self._open[trial.number], params = self._ask(trial.number)
        return params

    def sample_independent(self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution) -> Any:
        raise NotImplementedError("the whole space is sampled at once")

    def _loss(self, index: int, value: float) -> float:
        """Return an objective's value as the library minimises it."""
        loss = value if self._directions[index] == "minimize" else -value
        return math.log10(loss) if index in self._costs else loss

    def _ask(self, number: int) -> tuple[Any, dict[str, Any]]:
        """Return the library's name for a new trial, and its parameters."""
        raise NotImplementedError

    def _tell(self, name: Any, losses: Mapping[str, float], excess: Mapping[str, float]) -> None:
        """Tell the library what a trial came to, and by how much it exceeds each constraint."""
        raise NotImplementedError


class AxSampler(_OutsideSampler):
    """Ax's own choice of strategy (Olson et al., 2025)."""

    def __init__(self, problem: Problem, seed: int) -> None:
        super().__init__(problem, seed)
        from ax.api.client import Client
        from ax.api.configs import RangeParameterConfig

        parameters = [RangeParameterConfig(name=name, **_range(one)) for name, one in self._distributions.items()]
        self._client = Client(random_seed=seed)
        self._client.configure_experiment(parameters=parameters)
        self._client.configure_optimization(
            objective=", ".join(f"-loss{index}" for index in range(len(self._directions))),
            outcome_constraints=[f"{name} <= 0" for name in problem.constraints],
        )

    def _ask(self, number: int) -> tuple[Any, dict[str, Any]]:
        ((index, params),) = self._client.get_next_trials(max_trials=1).items()
        return index, dict(params)

    def _tell(self, name: Any, losses: Mapping[str, float], excess: Mapping[str, float]) -> None:
        self._client.complete_trial(trial_index=name, raw_data={**losses, **excess})


class SyneTuneSampler(_OutsideSampler):
    """Syne Tune's expected hypervolume improvement (Salinas et al., 2022), which knows no bounds."""

    def __init__(self, problem: Problem, seed: int) -> None:
        super().__init__(problem, seed)
        from syne_tune.config_space import loguniform, randint, uniform
        from syne_tune.optimizer.baselines import EHVI

        make = {("int", "linear"): randint, ("float", "linear"): uniform, ("float", "log"): loguniform}
        ranges = {name: _range(one) for name, one in self._distributions.items()}
        space = {name: make[one["parameter_type"], one["scaling"]](*one["bounds"]) for name, one in ranges.items()}
        metrics = [f"loss{index}" for index in range(len(self._directions))]
        self._scheduler = EHVI(space, metrics, do_minimize=True, random_seed=seed)

    def _ask(self, number: int) -> tuple[Any, dict[str, Any]]:
        from syne_tune.backend.trial_status import Trial

        previous = torch.get_default_dtype()
        torch.set_default_dtype(torch.double)  # else its reference point is in single precision, which BoTorch refuses by now
        try:
            trial = Trial(number, self._scheduler.suggest().config, datetime.now())
        finally:
            torch.set_default_dtype(previous)
        self._scheduler.on_trial_add(trial)
        return trial, dict(trial.config)

    def _tell(self, name: Any, losses: Mapping[str, float], excess: Mapping[str, float]) -> None:
        self._scheduler.on_trial_complete(name, losses)


def _range(distribution: BaseDistribution) -> dict[str, Any]:
    """Return a distribution of integers or numbers as Ax's range takes it."""
    match distribution:
        case IntDistribution(low=low, high=high, log=False):
            return {"parameter_type": "int", "bounds": (low, high), "scaling": "linear"}
        case FloatDistribution(low=low, high=high, log=log):
            return {"parameter_type": "float", "bounds": (low, high), "scaling": "log" if log else "linear"}
        case _:
            raise TypeError(f"{distribution} is neither")
