from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import create_trial

from autopeft.samplers.full_budget import FullBudgetProposer, Tried
from autopeft.samplers.history import read_history
from autopeft.samplers.problem import SearchProblem
from autopeft.samplers.proposal import Proposer

SPACE = {"size": FloatDistribution(1.0, 1000.0, log=True), "x": FloatDistribution(0.0, 1.0)}


def accuracy(size: float, x: float) -> float:
    return float(0.9 - 0.15 * (3 - np.log10(size)) / 3 - 0.3 * (x - 0.5) ** 2)


def tried(points: Sequence[tuple[float, float]], **of_all: object) -> list[Tried]:
    return [Tried({"size": size, "x": x}, (accuracy(size, x), size), 1 - accuracy(size, x)) for size, x in points]


def proposer(some: Sequence[Tried], trivial: float = 0.5) -> FullBudgetProposer:
    """Two objectives: an accuracy, which is measured, and a size, which is exact."""
    problem = SearchProblem(SPACE, {1: lambda point: point["size"]}, trivial={0: trivial})
    trials = [create_trial(params=one.params, distributions=SPACE, values=list(one.values)) for one in some]
    for number, trial in enumerate(trials):
        trial.datetime_complete = datetime(2026, 1, 1, 0, number)
    history = read_history(trials, SPACE, 2)
    return FullBudgetProposer(Proposer(problem, history, (-1.0, 1.0), problem.trivial, np.random.default_rng(0)), some)


GRID = tried([(size, x) for size in (1.0, 10.0, 100.0, 1000.0) for x in (0.1, 0.5, 0.8)])
BEST, SMALLEST = 10, 1  # indices of (1000, 0.5) and (1, 0.5)


def confirmed(some: Sequence[Tried], index: int, value: float) -> list[Tried]:
    done = replace(some[index], full=(value, some[index].values[1]), is_open=False)
    return [*some[:index], done, *some[index + 1 :]]


def test_the_best_goes_first_then_what_is_far_from_it_on_the_front() -> None:
    assert proposer(GRID).choose(may_be_new=True) == BEST
    one = confirmed(GRID, BEST, 0.95)
    second = proposer(one).choose(may_be_new=False)
    assert isinstance(second, int)
    assert GRID[second].params["x"] == 0.5
    assert GRID[second].params["size"] <= 10
    third = proposer(confirmed(one, second, GRID[second].values[0] + 0.05)).choose(may_be_new=False)
    assert third not in (BEST, second, None)


def test_a_point_that_nobody_tried_may_promise_more() -> None:
    """Everything tried lies off the ridge at x = 1/2."""
    some = tried([(size, x) for size in (1.0, 10.0, 100.0, 1000.0) for x in (0.0, 0.1, 0.9, 1.0)])
    first = proposer(some).choose(may_be_new=False)
    assert isinstance(first, int)
    point = proposer(confirmed(some, first, some[first].values[0])).choose(may_be_new=True)
    assert isinstance(point, dict)
    assert 0.15 < point["x"] < 0.85


def test_what_runs_or_failed_is_not_chosen_again() -> None:
    closed = [replace(one, is_open=False) for one in GRID]
    assert proposer(closed).choose(may_be_new=False) is None
    running = [*GRID[:BEST], replace(GRID[BEST], runs=True, is_open=False), *GRID[BEST + 1 :]]
    assert proposer(running).choose(may_be_new=False) not in (BEST, None)


def test_a_trial_that_collapsed_at_low_cost_is_not_believed() -> None:
    collapsed = replace(GRID[BEST], values=(0.51, 1000.0), early=3.0)
    some = [*GRID[:BEST], collapsed, *GRID[BEST + 1 :]]
    found, _ = proposer(some).predict([one.params for one in some])
    believed, _ = proposer(some, trivial=0.0).predict([one.params for one in some])
    worth = np.argsort(found[:, 0]).tolist()
    assert worth.index(BEST) < 3
    assert np.argsort(believed[:, 0]).tolist().index(BEST) > 3


@pytest.mark.parametrize("n", [1, 2])
def test_of_very_few_trials_the_best_measured_goes_first(n: int) -> None:
    assert proposer(GRID[:n]).choose(may_be_new=True) == n - 1


def test_where_nothing_is_better_than_by_chance_what_was_tried_first_goes_first() -> None:
    some = [replace(one, values=(0.5 + 0.01 * (index % 3), one.values[1])) for index, one in enumerate(GRID)]
    blind = replace(proposer(some), trivial_error=0.02)
    assert blind.choose(may_be_new=True) == 0
    assert proposer(some).choose(may_be_new=True) != 0
    assert replace(proposer(confirmed(some, 0, 0.9)), trivial_error=0.02).choose(may_be_new=True) == 1


@pytest.mark.parametrize(("error", "chosen"), [(0.0, BEST), (0.04, BEST), (0.06, 7), (0.2, 1)])
def test_of_what_low_cost_can_t_tell_apart_the_first_known_one_goes_first(error: float, chosen: int) -> None:
    """Of the known ones, sizes 1, 10 and 100 at x = 1/2 are 0.15, 0.10 and 0.05 below the best."""
    some = [replace(one, is_known=index in (1, 4, 7)) for index, one in enumerate(GRID)]
    assert replace(proposer(some, trivial=0.0), trivial_error=error).choose(may_be_new=True) == chosen
    assert replace(proposer(GRID, trivial=0.0), trivial_error=error).choose(may_be_new=True) == BEST


def test_a_region_where_trials_collapse_is_not_taken_for_promising() -> None:
    """Four small points stayed at chance: of the smaller half of the sizes nobody knows what one that learns would be worth."""
    learns_from = 40.0

    def low_cost(size: float, x: float) -> Tried:
        value = accuracy(size, x) if size >= learns_from else 0.51
        return Tried({"size": size, "x": x}, (value, size), 1 - value)

    sizes, places = (1.5, 4.0, 9.0, 25.0, 60.0, 100.0, 150.0, 250.0, 400.0, 800.0), (0.4, 0.6, 0.5, 0.3, 0.5, 0.7, 0.4, 0.5, 0.3, 0.5)
    some, n_new, chosen = [low_cost(size, x) for size, x in zip(sizes, places, strict=True)], 0, list[float]()
    while len(chosen) < 3:
        found = proposer(some).choose(may_be_new=n_new < len(chosen))
        if isinstance(found, dict):  # a search tries it at low cost first
            some, n_new = [*some, low_cost(**found)], n_new + 1
            continue
        assert found is not None
        value, size = some[found].values
        chosen.append(size)
        some = confirmed(some, found, value + 0.05 * (size >= learns_from))
    assert min(chosen) >= learns_from
