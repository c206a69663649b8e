import pickle
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import TrialState, create_trial

from autopeft.errors import InvalidInputError
from autopeft.pareto import hypervolume
from autopeft.samplers import BayesianSampler, SearchProblem

Params = dict[str, Any]
SPACE: dict[str, BaseDistribution] = {
    "size": IntDistribution(0, 6),
    "rate": FloatDistribution(1e-5, 1e-2, log=True),
    "kind": CategoricalDistribution(["a", "b", None]),
} | {f"layers.{layer}": IntDistribution(0, 1) for layer in range(4)}


def cost(params: Params) -> float:
    return 10.0 + 2 ** params["size"] * sum(params[f"layers.{layer}"] for layer in range(4))


def quality(params: Params) -> float:
    gain = params["size"] * (params["layers.2"] + 0.3 * params["layers.0"]) * (1.2 if params["kind"] == "b" else 1.0)
    return float(gain - 0.5 * (np.log10(params["rate"]) + 3) ** 2 * gain / 4)


def valid(params: Params) -> bool:
    return params["size"] > 0 and any(params[f"layers.{layer}"] for layer in range(4))


class Valid(SearchProblem):
    """A problem in which a point needs a module."""

    def violation(self, params: Params) -> float:
        return 0.0 if valid(params) else 1.0


def make(sampler: BaseSampler, directions: Sequence[str] = ("minimize", "maximize")) -> optuna.Study:
    return optuna.create_study(directions=list(directions), sampler=sampler)


def run(study: optuna.Study, n: int, batch: int = 1) -> list[Params]:
    asked = []
    for _ in range(n // batch):
        trials = [study.ask(SPACE) for _ in range(batch)]
        for trial in trials:
            study.tell(trial, [cost(trial.params), quality(trial.params)][: len(study.directions)])
        asked += [trial.params for trial in trials]
    return asked


@pytest.mark.parametrize(
    "sampler",
    [
        BayesianSampler(),
        BayesianSampler(seed=3, problem=Valid(SPACE, {0: cost}), n_initial=4, reference={1: 0.0}),
    ],
    ids=["default", "configured"],
)
def test_it_can_be_pickled(sampler: BayesianSampler) -> None:
    original, copy = make(sampler), make(pickle.loads(pickle.dumps(sampler)))
    assert run(original, 4) == run(copy, 4)


def test_the_package_imports_nothing_before_it_is_used() -> None:
    code = "import sys, autopeft.samplers; assert not {'torch', 'optuna', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def ours(seed: int = 0, problem: type[SearchProblem] = SearchProblem, **kwargs: Any) -> BayesianSampler:
    return BayesianSampler(seed=seed, **{"problem": problem(SPACE, {0: cost}), "n_initial": 6} | kwargs)


def reached(points: list[Params]) -> float:
    losses = np.array([[np.log10(cost(params)), -quality(params)] for params in points])
    return hypervolume(losses, np.array([2.5, 0.0]))


def test_it_beats_random() -> None:
    found = [reached(run(make(ours(seed)), 20, batch=4)) for seed in range(2)]
    random = [reached(run(make(RandomSampler(seed)), 40)) for seed in range(10)]
    assert np.mean(found) > np.mean(random)  # with half the trials


def test_same_seed_and_history_same_suggestions() -> None:
    whole = run(make(ours()), 10)
    study = make(ours())
    first = run(study, 7)
    study.sampler = ours()
    assert first + run(study, 3) == whole
    assert run(make(ours(seed=1)), 3) != whole[:3]


def test_nothing_is_proposed_twice_and_nothing_invalid() -> None:
    study = make(ours(problem=Valid))
    trials = [study.ask(SPACE) for _ in range(9)]  # all running
    asked = [trial.params for trial in trials] + run(study, 6)
    assert all(map(valid, asked))
    assert len({str(sorted(params.items())) for params in asked}) == 15


def test_without_a_problem_only_the_first_trial_is_drawn_blind() -> None:
    def never_off(params: Params) -> float:
        return cost(params) if valid(params) else float("nan")

    study = make(BayesianSampler({0: never_off}, n_initial=4))
    asked = []
    for _ in range(7):
        trial = study.ask(SPACE)
        study.tell(trial, [cost(trial.params), quality(trial.params)])
        asked.append(trial.params)
    assert all(map(valid, asked[1:]))


def test_a_new_key_is_all_that_counts_and_none_is_forbidden() -> None:
    space: dict[str, BaseDistribution] = {"a": IntDistribution(0, 3), "b": IntDistribution(0, 3)}

    class ByFirst(SearchProblem):
        def key(self, params: Params) -> int | None:
            return params["a"] or None

    study = make(BayesianSampler(problem=ByFirst(space), n_initial=2), ["minimize"])
    found = []
    for _ in range(5):
        trial = study.ask(space)
        study.tell(trial, float(trial.params["a"] - trial.params["b"]))
        found.append(trial.params["a"])
    assert set(found[:3]) == {1, 2, 3}
    assert 0 not in found  # used up, so a key comes again; what is forbidden still doesn't


def test_what_a_problem_knows_takes_the_place_of_the_distributions() -> None:
    calls = set()

    class Own(SearchProblem):
        def encode(self, points: Sequence[Params]) -> Any:
            calls.add("encode")
            return np.array([[params["size"] / 6, np.log10(params["rate"]) / 3 + 5 / 3] for params in points]).reshape(-1, 2)

        def features(self, points: Sequence[Params]) -> Any:
            calls.add("features")
            return np.array([[params["layers.2"]] for params in points]).reshape(-1, 1)

        def neighbours(self, params: Params, rng: np.random.Generator) -> list[Params]:
            calls.add("neighbours")
            return [{**params, "size": (params["size"] + 1) % 7}]

        flag_columns = ()

    run(make(ours(problem=Own)), 8)
    assert calls == {"encode", "features", "neighbours"}


def test_no_neighbours_is_no_trouble() -> None:
    class Alone(SearchProblem):
        def neighbours(self, params: Params, rng: np.random.Generator) -> list[Params]:
            return []

    run(make(ours(problem=Alone)), 8)


def test_a_space_that_is_all_forbidden_still_gives_points() -> None:
    class Closed(SearchProblem):
        def violation(self, params: Params) -> float:
            return 1.0

    run(make(ours(problem=Closed)), 8)


@pytest.mark.parametrize(
    ("directions", "known"),
    [(["maximize"], {}), (["minimize"], {0: cost}), (["minimize", "maximize", "minimize"], {0: cost})],
    ids=["one", "one known", "three"],
)
def test_other_numbers_of_objectives(directions: list[str], known: dict[int, Any]) -> None:
    study = make(BayesianSampler(problem=SearchProblem(SPACE, known), n_initial=4), directions)
    for _ in range(6):
        trial = study.ask(SPACE)
        study.tell(trial, [cost(trial.params), quality(trial.params), float(trial.params["layers.1"])][: len(directions)])
    assert len(study.trials) == 6


finite = st.floats(-1e300, 1e300)
odd = st.sampled_from([float("inf"), float("-inf"), 0.0, 1.0])
outcomes = st.one_of(st.tuples(finite, finite), st.tuples(odd, odd), st.just(None))
points = st.builds(
    lambda size, rate, kind, *flags: {"size": size, "rate": rate, "kind": kind} | {f"layers.{i}": flag for i, flag in enumerate(flags)},
    st.integers(0, 6),
    st.floats(1e-5, 1e-2),
    st.sampled_from(["a", "b", None]),
    *[st.integers(0, 1)] * 4,
)


@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(points, outcomes), max_size=6), st.integers(1, 3), st.booleans())
def test_any_history_gives_a_suggestion(history: list[tuple[Params, tuple[float, float] | None]], repeats: int, knows: bool) -> None:
    study = make(BayesianSampler(problem=SearchProblem(SPACE, {0: cost} if knows else {}), n_initial=2))
    for params, values in history * repeats:
        state = TrialState.COMPLETE if values else TrialState.FAIL
        study.add_trial(create_trial(params=params, distributions=SPACE, values=values, state=state))
    assert study.ask(SPACE).params.keys() == SPACE.keys()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0], ids=str)
def test_a_known_value_that_is_no_number_is_not_proposed(value: float) -> None:
    def known(params: Params) -> float:
        return value if params["size"] > 3 else 1.0 + params["size"]

    study = make(BayesianSampler(problem=SearchProblem(SPACE, {0: known}), n_initial=3))
    for _ in range(6):
        trial = study.ask(SPACE)
        assert np.isfinite(known(trial.params))
        study.tell(trial, [known(trial.params), quality(trial.params)])


def test_running_trials_of_which_parameters_are_missing_are_ignored() -> None:
    study = make(ours(n_initial=3))
    run(study, 4)
    half = study.ask()
    half.suggest_int("size", 0, 6)
    assert study.ask(SPACE).params.keys() == SPACE.keys()


def test_stopped_and_failed_trials_are_not_repeated() -> None:
    space: dict[str, BaseDistribution] = {"a": IntDistribution(0, 5)}
    study = make(BayesianSampler(problem=SearchProblem(space), n_initial=2), ["minimize"])
    found = []
    for state in [TrialState.FAIL, TrialState.PRUNED, TrialState.FAIL] * 2:
        trial = study.ask(space)
        found.append(trial.params["a"])
        study.tell(trial, state=state)
    assert sorted(found) == [0, 1, 2, 3, 4, 5]


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="n_initial"):
        BayesianSampler(n_initial=0)
    with pytest.raises(InvalidInputError, match="counted from 0 to 1"):
        make(BayesianSampler({2: cost})).ask(SPACE)
    with pytest.raises(InvalidInputError, match="belong to the problem"):
        BayesianSampler({0: cost}, problem=SearchProblem(SPACE))
    with pytest.raises(InvalidInputError, match="up to 4 objectives"):
        make(BayesianSampler(), ["minimize"] * 5).ask(SPACE)


def test_bounds_on_what_is_measured_are_learned() -> None:
    def seconds(params: Params) -> float:
        return 2.0 * params["size"]

    study = make(ours())
    for _ in range(24):
        trial = study.ask(SPACE)
        trial.set_constraint("seconds", seconds(trial.params) - 5)
        study.tell(trial, [cost(trial.params), quality(trial.params)])
    exceeded = [seconds(trial.params) > 5 for trial in study.trials]
    assert np.mean(exceeded[:6]) > 0.3
    assert np.mean(exceeded[12:]) < 0.2


def test_where_trials_fail_is_learned() -> None:
    study = make(ours())
    for _ in range(24):
        trial = study.ask(SPACE)
        if trial.params["size"] >= 4:
            study.tell(trial, state=TrialState.FAIL)
        else:
            study.tell(trial, [cost(trial.params), quality(trial.params)])
    failed = [trial.state == TrialState.FAIL for trial in study.trials]
    assert np.mean(failed[:6]) > 0.3
    assert np.mean(failed[12:]) < 0.3
