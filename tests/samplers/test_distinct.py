from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from autopeft.errors import UnavailableError, UnknownNameError
from autopeft.samplers.bayesian import N_INITIAL
from autopeft.samplers.distinct import DistinctSampler, trial_seed
from autopeft.samplers.problem import SearchProblem
from autopeft.samplers.registry import SAMPLERS, make_sampler

SPACE: dict[str, BaseDistribution] = {"a": IntDistribution(0, 4), "b": IntDistribution(0, 3), "x": FloatDistribution(1e-4, 1e-2, log=True)}
every_sampler = pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "saasbo")) for name in SAMPLERS])


@pytest.fixture(autouse=True)
def quick_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fully Bayesian sampler draws for a minute."""
    for name, value in {"WARMUP": 4, "N_SAMPLES": 4, "THINNING": 2}.items():
        monkeypatch.setattr(f"autopeft.surrogates.saas.{name}", value)


class Discrete(SearchProblem):
    """A problem in which the learning rate makes no other point."""

    def key(self, params: dict[str, Any]) -> str:
        return f"{params['a']} {params['b']}"

    def neighbours(self, params: dict[str, Any], rng: np.random.Generator) -> list[dict[str, Any]]:
        a, b = params["a"], params["b"]
        return [{**params, "a": (a + 1) % 5}, {**params, "b": (b + 1) % 4}]


def make_study(name: str, seed: int = 0) -> optuna.Study:
    sampler = DistinctSampler(lambda one: make_sampler(name, one), seed, Discrete(SPACE))
    return optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)


def run(study: optuna.Study, n: int, told: bool = True) -> list[dict[str, Any]]:
    asked = []
    for _ in range(n):
        trial = study.ask(SPACE)
        asked.append(trial.params)
        if told:
            study.tell(trial, [-abs(trial.params["a"] - 2) - abs(np.log10(trial.params["x"]) + 3), trial.params["a"] + trial.params["b"]])
    return asked


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name != "saasbo"])  # it compiles anew for every number of trials
def test_no_point_is_proposed_twice_until_the_space_is_used_up(name: str) -> None:
    asked = run(make_study(name), 20)
    assert len({(params["a"], params["b"]) for params in asked}) == 20  # all there are
    assert len(run(make_study(name), 22)) == 22  # then repeats come, as replicates, and no error


@pytest.mark.slow
def test_the_fully_bayesian_sampler_proposes_new_points() -> None:
    pytest.importorskip("numpyro", reason="the extra saasbo is not installed")
    asked = run(make_study("saasbo"), N_INITIAL + 1)  # it compiles anew for every number of trials
    assert len({(params["a"], params["b"]) for params in asked}) == N_INITIAL + 1


@every_sampler
def test_running_trials_count_as_seen(name: str) -> None:
    asked = run(make_study(name), 12, told=False)
    assert len({(params["a"], params["b"]) for params in asked}) == 12


@every_sampler
def test_failed_trials_are_neither_repeated_nor_fatal(name: str) -> None:
    study = make_study(name)
    seen = set()
    for _ in range(15):
        trial = study.ask(SPACE)
        seen.add((trial.params["a"], trial.params["b"]))
        study.tell(trial, state=TrialState.FAIL)
    assert len(seen) == 15


@every_sampler
def test_same_seed_same_trials(name: str) -> None:
    n = N_INITIAL + (1 if name == "saasbo" else 6)
    assert run(make_study(name), n) == run(make_study(name), n)
    assert run(make_study(name), 3) != run(make_study(name, seed=1), 3)


@pytest.mark.parametrize("name", ["tpe", "random"])
def test_a_sampler_made_anew_goes_on_where_the_study_stands(name: str) -> None:
    whole = run(make_study(name), 14)
    study = make_study(name)
    first = run(study, 9)
    study.sampler = make_study(name).sampler
    assert first + run(study, 5) == whole


@every_sampler
def test_learning_rates_that_can_t_be_told_apart_are_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a sampler repeats but for a billionth is moved; the identity of the tests above leaves the learning rate out."""
    owner = type(make_sampler(name, 0))
    rates = iter(1e-3 * (1 + 1e-9 * n) for n in range(10))
    monkeypatch.setattr(owner, "infer_relative_search_space", lambda self, study, trial: SPACE)
    monkeypatch.setattr(owner, "sample_relative", lambda self, study, trial, space: {"a": 1, "b": 1, "x": next(rates)})
    problem = SearchProblem(SPACE)
    study = optuna.create_study(sampler=DistinctSampler(lambda one: make_sampler(name, one), 0, problem))
    asked = [study.ask(SPACE).params for _ in range(3)]
    assert len({problem.key(params) for params in asked}) == 3


def test_trial_seeds_differ_and_fit_in_31_bits() -> None:
    seeds = {trial_seed(seed, number) for seed in range(10) for number in range(100)}
    assert len(seeds) == 1000
    assert max(seeds) < 2**31


def test_unknown_sampler() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'tpe'"):
        make_sampler("tep", 0)


def test_a_sampler_without_its_packages_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autopeft.samplers.registry.find_spec", lambda package: None)
    with pytest.raises(UnavailableError, match=r'saasbo needs numpyro.*pip install "autopeft\[saasbo\]"'):
        make_sampler("saasbo", 0)
