import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from autopeft.samplers.expectation import MIN_TRIALS, expectations

SPACE = {"size": IntDistribution(0, 8), "rate": FloatDistribution(1e-4, 1e-2, log=True)}
NOISE = 0.05


def truth(params: dict[str, float]) -> float:
    return 0.6 + 0.02 * params["size"] - 0.1 * (np.log10(params["rate"]) + 3) ** 2


def trials(n: int, noise: float = NOISE, seed: int = 0) -> list[FrozenTrial]:
    rng = np.random.default_rng(seed)
    study = optuna.create_study(directions=["maximize", "minimize"])
    for _ in range(n):
        params = {"size": int(rng.integers(0, 9)), "rate": float(10 ** rng.uniform(-4, -2))}
        values = [truth(params) + noise * rng.normal(), 10.0 * 2 ** params["size"]]
        study.add_trial(create_trial(params=params, distributions=SPACE, values=values))
    return study.trials


@pytest.mark.parametrize("cost", [None, 1])
def test_what_is_expected_is_nearer_to_the_truth_than_one_measurement(cost: int | None) -> None:
    found = trials(60)
    expected = expectations(found, 0, cost)
    assert set(expected) == {trial.number for trial in found}
    exact = np.array([truth(trial.params) for trial in found])
    measured = np.array([trial.values[0] for trial in found])
    mean = np.array([expected[trial.number][0] for trial in found])
    deviation = np.array([expected[trial.number][1] for trial in found])
    assert np.sqrt(np.mean((mean - exact) ** 2)) < 0.6 * np.sqrt(np.mean((measured - exact) ** 2))
    assert np.mean(abs(mean - exact) < 1.96 * deviation) > 0.8
    lucky = measured - exact > NOISE
    assert (mean[lucky] < measured[lucky]).mean() > 0.9


def test_without_noise_it_is_the_measurement() -> None:
    found = trials(40, noise=0.0)
    expected = expectations(found, 0)
    for trial in found:
        assert expected[trial.number][0] == pytest.approx(trial.values[0], abs=0.01)


def test_too_little_tells_nothing() -> None:
    assert not expectations([], 0)
    assert not expectations(trials(MIN_TRIALS - 1), 0)
    same = [create_trial(params=trial.params, distributions=SPACE, values=[0.5, 1.0]) for trial in trials(20)]
    assert not expectations(same, 0)


def test_what_failed_is_left_out_and_a_parameter_of_some_trials_is_not_looked_at() -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    study.add_trial(create_trial(params={"size": 2, "rate": 1e-3}, distributions=SPACE, state=TrialState.FAIL))
    more = {**SPACE, "late": IntDistribution(0, 1)}
    study.add_trial(create_trial(params={"size": 3, "rate": 1e-3, "late": 1}, distributions=more, values=[0.7, 80.0]))
    study.add_trials(trials(20))
    assert set(expectations(study.trials, 0)) == set(range(1, 22))
