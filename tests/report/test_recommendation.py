"""Which trial is recommended, against cases that can be worked out by hand."""

import math

from autopeft.objectives import TRAINABLE_PARAMETERS, Objective
from autopeft.report.expected import ExpectedFront
from autopeft.report.recommendation import recommend
from autopeft.report.references import TRIVIAL, Reference
from autopeft.study.record import Expectation, front

NOTHING = ExpectedFront({}, (), math.nan)


def test_the_cheapest_within_one_standard_error_of_the_best(records, objectives) -> None:
    # The best has 0.88 with 294,912 parameters, the next 0.84 with 12,288; on n rows the error of 0.88 is about sqrt(0.88 * 0.12 / n).
    on_front = front(records, objectives)
    few, many = (recommend(on_front, objectives, NOTHING, n) for n in (50, 5000))
    assert few.trial == 3
    assert "its accuracy of 0.8400 lies within one standard error of 0.0483 on 50 validation examples from the best" in few.words
    assert "0.8800 of trial 1, for 12,288 parameters in place of 294,912." in few.words
    assert many.trial == 1
    assert "is the best, and all that cost less are worse by more than one standard error of 0.0046" in many.words


def test_nothing_is_recommended_that_one_answer_for_all_does_as_well(records, objectives) -> None:
    on_front = front(records, objectives)
    found = recommend(on_front, objectives, NOTHING, 50, [Reference(TRIVIAL, 0.80), Reference("LoRA", 0.9, 100)])
    assert found.trial is None
    assert "Take none yet: the best, trial 1 with accuracy 0.8800, is not clearly better" in found.words
    assert recommend(on_front, objectives, NOTHING, 50, [Reference(TRIVIAL, 0.5)]).trial == 3


def test_expectations_count_where_there_are_any(records, objectives) -> None:
    on_front = front(records, objectives)
    means = {0: 0.70, 3: 0.86, 1: 0.85}
    expected = ExpectedFront({number: Expectation(mean, 0.01) for number, mean in means.items()}, (), 0.0)
    found = recommend(on_front, objectives, expected, 500)
    assert found.trial == 3
    assert "expected accuracy of 0.8600 is the best" in found.words


def test_where_no_error_is_known_the_bend_is_recommended_and_that_is_said(trial) -> None:
    objectives = (Objective("loss", "minimize"), TRAINABLE_PARAMETERS)
    losses = {0: (1.0, 10), 1: (0.3, 100), 2: (0.25, 100_000)}
    records = [
        trial(number, 0.5, parameters, metrics={"loss": loss}, values={"loss": loss, "trainable_parameters": float(parameters)})
        for number, (loss, parameters) in losses.items()
    ]
    found = recommend(front(records, objectives), objectives, NOTHING, 500)
    assert found.trial == 1
    assert "loss 0.3000 for trainable parameters 100; how far that is chance isn't known" in found.words
    assert recommend([], objectives, NOTHING, 500) is None
