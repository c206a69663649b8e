import pytest

from autopeft.configuration import Configuration, PeftModule
from autopeft.errors import InvalidInputError, UnknownNameError
from autopeft.loops.selection import choose, numbered, pick
from autopeft.objectives import TRAINABLE_PARAMETERS, Objective
from autopeft.study.directory import RunDirectory
from autopeft.study.record import TrialRecord

OBJECTIVES = (Objective("accuracy", "maximize"), TRAINABLE_PARAMETERS)


def trial(number: int, accuracy: float, parameters: int) -> TrialRecord:
    configuration = Configuration((PeftModule("lora", number + 1, (0,)),))
    values = {"accuracy": accuracy, "trainable_parameters": float(parameters)}
    return TrialRecord(number, "complete", configuration, 0, values, {"accuracy": accuracy}, trainable_parameters=parameters)


# The knee gives up a tenth of the accuracy's span and a tenth of the parameters'.
RECORDS = [trial(0, 0.60, 0), trial(1, 0.79, 100), trial(2, 0.80, 1000), trial(3, 0.80, 900), trial(4, 0.5, 500)]
RECORDS.append(TrialRecord(5, "failed", Configuration(), 0))


@pytest.mark.parametrize(
    ("wish", "number"),
    [("best", 3), ("knee", 1), ("max-params=100", 1), ("max-params=0.5%", 0), ("max-params=1%", 1), ("max-params=1k", 3)],
)
def test_a_wish_picks_one_trial(wish: str, number: int) -> None:
    assert pick(wish, RECORDS, OBJECTIVES, backbone_parameters=10_000).number == number


@pytest.mark.parametrize("wish", ["beste", "max-params", "best=3", "knee="])
def test_an_unknown_wish_is_refused(wish: str) -> None:
    with pytest.raises(UnknownNameError, match="choice of a trial"):
        pick(wish, RECORDS, OBJECTIVES, 10_000)


def test_nothing_may_be_small_enough() -> None:
    with pytest.raises(InvalidInputError, match="at most 99 trainable parameters: the smallest complete one has 100 "):
        pick("max-params=99", RECORDS[1:], OBJECTIVES, 10_000)
    with pytest.raises(InvalidInputError, match="no complete trial that can be chosen"):
        pick("max-params=99", RECORDS[5:], OBJECTIVES, 10_000)


def test_only_complete_trials_have_numbers() -> None:
    assert [record.number for record in numbered([4, 0, 4], RECORDS)] == [4, 0]
    with pytest.raises(InvalidInputError, match="trial 5 is failed"):
        numbered([5], RECORDS)
    with pytest.raises(InvalidInputError, match="trial 6 does not exist"):
        numbered([6], RECORDS)


def test_one_choice_is_needed(small_run: RunDirectory) -> None:
    assert len(choose(small_run, [2, 1])) == 2
    assert choose(small_run, wish="best") == choose(small_run, whole_front=True)[-1:]
    with pytest.raises(InvalidInputError, match="say which trials"):
        choose(small_run)
    with pytest.raises(InvalidInputError, match="say which trials"):
        choose(small_run, [1], "best")
