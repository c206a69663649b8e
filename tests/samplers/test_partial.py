import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from autopeft.samplers.grid import Grid
from autopeft.samplers.history import read_history
from autopeft.samplers.partial import Early, extrapolate

FINALS = np.array([[0.5], [0.6], [0.7], [0.8], [0.9]])
OTHERS = [[Early(0.1, (9.0,)), Early(0.3, (1.0 - final[0],))] for final in FINALS]


def test_the_end_follows_from_those_that_went_on() -> None:
    found = extrapolate([Early(0.1, (1.0,)), Early(0.3, (0.35,))], OTHERS, FINALS)
    assert found == pytest.approx([0.65])


def test_too_little_to_tell_by_tells_nothing() -> None:
    assert extrapolate([Early(0.3, (0.35,))], OTHERS[:4], FINALS[:4]) is None
    assert extrapolate([Early(0.2, (0.35,))], OTHERS, FINALS) is None
    assert extrapolate([Early(0.3, (np.nan,))], OTHERS, FINALS) is None


def test_equal_early_values_tell_the_mean_and_far_ones_not_too_much() -> None:
    assert extrapolate([Early(0.1, (9.0,))], OTHERS, FINALS) == pytest.approx([0.7])
    assert extrapolate([Early(0.3, (-100.0,))], OTHERS, FINALS) == pytest.approx([1.3])


def test_waiting_and_stopped_trials_are_unfinished_and_not_running() -> None:
    study = optuna.create_study()
    space = {"x": FloatDistribution(0, 1)}
    early = {}
    for number in range(8):
        trial = study.ask(space)
        early[number] = [Early(0.3, (float(number),))] if number < 7 else []
        if number < 5:
            study.tell(trial, float(number))
        elif number == 5:
            study.tell(trial, state=TrialState.PRUNED)
    history = read_history(study.trials, Grid(space), 1, lambda trial: early[trial.number])
    assert (len(history.observed), len(history.unfinished), len(history.running)) == (5, 2, 1)
    assert history.extrapolated[:, 0] == pytest.approx([5.0, 6.0])
    assert history.remaining == pytest.approx([0.7, 0.7])
