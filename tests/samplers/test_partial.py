import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from autopeft.samplers.history import read_history
from autopeft.samplers.partial import Early, extrapolate

FINALS = np.array([[0.5], [0.6], [0.7], [0.8], [0.9]])
OTHERS = [[Early((0.1,), (9.0,)), Early((0.3,), (1.0 - final[0],))] for final in FINALS]


def test_the_end_follows_from_those_that_went_on() -> None:
    found = extrapolate([Early((0.1,), (1.0,)), Early((0.3,), (0.35,))], OTHERS, FINALS)
    assert found == pytest.approx([0.65])


def test_too_little_to_tell_by_tells_nothing() -> None:
    assert extrapolate([Early((0.3,), (0.35,))], OTHERS[:4], FINALS[:4]) is None
    assert extrapolate([Early((0.2,), (0.35,))], OTHERS, FINALS) is None
    assert extrapolate([Early((0.3,), (np.nan,))], OTHERS, FINALS) is None


def test_equal_early_values_tell_the_mean_and_far_ones_not_too_much() -> None:
    assert extrapolate([Early((0.1,), (9.0,))], OTHERS, FINALS) == pytest.approx([0.7])
    assert extrapolate([Early((0.3,), (-100.0,))], OTHERS, FINALS) == pytest.approx([1.3])


def test_waiting_and_stopped_trials_are_unfinished_and_not_running() -> None:
    study = optuna.create_study()
    space = {"x": FloatDistribution(0, 1)}
    early = {}
    for number in range(8):
        trial = study.ask(space)
        early[number] = [Early((0.3,), (float(number),))] if number < 7 else []
        if number < 5:
            study.tell(trial, float(number))
        elif number == 5:
            study.tell(trial, state=TrialState.PRUNED)
    history = read_history(study.trials, space, 1, lambda trial: early[trial.number])
    assert (history.n_complete, len(history.observed), len(history.running)) == (5, 7, 1)
    assert history.values[:, 0] == pytest.approx([0, 1, 2, 3, 4, 5, 6])
    assert history.fidelities[:, 0] == pytest.approx([1.0] * 5 + [0.3, 0.3])
    assert history.feasible.tolist() == [True] * 5 + [False] * 2


def test_measurements_may_have_several_fidelities() -> None:
    """A trial of a third of its steps on half of the examples says nothing of what one of a third of its steps on all comes to."""
    mine = [Early((0.3, 0.5), (0.4,))]
    assert extrapolate(mine, [[Early((0.3, 1.0), (1.0 - final[0],))] for final in FINALS], FINALS) is None
    assert extrapolate(mine, [[Early((0.3, 0.5), (1.0 - final[0],))] for final in FINALS], FINALS) == pytest.approx([0.6])
