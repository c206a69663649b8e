import numpy as np
import pytest

from autopeft.errors import InvalidInputError
from autopeft.rungs.halving import Standing, SuccessiveHalving

HALVING = SuccessiveHalving((0.1, 0.3), reduction=3)


def at_first_rung(values: list[float], waiting: bool = True) -> list[Standing]:
    return [Standing(number, ((value,),), waiting) for number, value in enumerate(values)]


def test_nobody_goes_on_before_there_are_enough_to_choose_from() -> None:
    assert HALVING.promotion([]) is None
    assert HALVING.promotion(at_first_rung([1.0, 2.0])) is None


def test_one_in_three_goes_on() -> None:
    standings = at_first_rung([5.0, 1.0, 3.0, 2.0, 4.0, 6.0])
    assert HALVING.promotion(standings) == 1
    standings[1] = Standing(1, ((1.0,),), waiting=False)
    assert HALVING.promotion(standings) == 3
    standings[3] = Standing(3, ((2.0,), (7.0,)), waiting=True)
    assert HALVING.promotion(standings) is None


def test_higher_rungs_come_first() -> None:
    standings = at_first_rung([9.0] * 6 + [0.0])
    standings += [Standing(10 + n, ((1.0,), (value,)), waiting=True) for n, value in enumerate([3.0, 1.0, 2.0])]
    assert HALVING.promotion(standings) == 11


def test_diverged_trials_count_as_beaten() -> None:
    standings = [Standing(0, ((1.0,),), waiting=True), *(Standing(n, ((np.nan,),), waiting=False) for n in (1, 2))]
    assert HALVING.promotion(standings) == 0


def test_a_cheap_one_and_a_good_one_both_go_on() -> None:
    good, cheap = (0.1, 1000.0), (0.9, 10.0)
    dominated = [(0.95, 1000.0 + n) for n in range(4)]
    standings = [Standing(number, (losses,), waiting=True) for number, losses in enumerate([*dominated, cheap, good])]
    first = HALVING.promotion(standings)
    assert first == 5
    standings[5] = Standing(5, (good,), waiting=False)
    assert HALVING.promotion(standings) == 4


def test_the_ladder_ends_with_the_budget() -> None:
    assert [HALVING.next_stop(n) for n in range(3)] == [0.1, 0.3, 1.0]
    assert SuccessiveHalving(()).next_stop(0) == 1.0


@pytest.mark.parametrize("rungs", [(0.5, 0.5), (0.0, 0.5), (0.5, 1.0), (0.6, 0.3), (float("nan"),)], ids=str)
def test_rungs_must_rise_between_0_and_1(rungs: tuple[float, ...]) -> None:
    with pytest.raises(InvalidInputError, match="rising shares"):
        SuccessiveHalving(rungs)


def test_the_reduction_must_reduce() -> None:
    with pytest.raises(InvalidInputError, match="more than 1"):
        SuccessiveHalving((0.5,), 1.0)


def test_where_none_has_earned_it_the_best_at_the_highest_rung_is_found() -> None:
    assert HALVING.best_waiting([]) is None
    assert HALVING.best_waiting(at_first_rung([1.0], waiting=False)) is None
    standings = at_first_rung([2.0, 1.0, np.nan])
    assert HALVING.best_waiting(standings) == 1
    assert HALVING.best_waiting([*standings, Standing(7, ((9.0,), (9.0,)), waiting=True)]) == 7
