"""Signs against made-up trials whose truth is known: size helps, the learning rate hurts, the layer does nothing."""

import math
import random
from dataclasses import replace

import pytest

from autopeft.configuration import Configuration, PeftModule
from autopeft.objectives import TRAINABLE_PARAMETERS, Objective
from autopeft.report.importance import MIN_TRIALS, importances_for
from autopeft.study.record import RungResult, TrialRecord

ACCURACY, LOSS = Objective("accuracy", "maximize"), Objective("loss", "minimize")


@pytest.fixture(scope="module")
def known() -> list[TrialRecord]:
    rng = random.Random(1)
    found = []
    for number in range(60):
        size, layer, rate = rng.choice([1, 2, 4, 8, 16]), rng.randrange(6), 10 ** rng.uniform(-4, -2)
        targets = rng.choice([("query",), ("query", "value")])
        accuracy = 0.3 + 0.02 * size - 0.15 * math.log10(rate) + 0.1 * (len(targets) == 2) + rng.gauss(0, 0.005)
        values = {"accuracy": accuracy, "loss": 1 - accuracy, "trainable_parameters": 768.0 * size}
        configuration = Configuration((PeftModule("lora", size, (layer,), targets),), {"learning_rate": rate})
        found.append(TrialRecord(number, "complete", configuration, 0, values, {"accuracy": accuracy}))
    return found


@pytest.mark.parametrize(
    ("objective", "signs"),
    [
        (ACCURACY, {"lora size": (True, True), "learning rate": (False, False)}),
        (LOSS, {"lora size": (False, True), "learning rate": (True, False)}),
        (TRAINABLE_PARAMETERS, {"lora size": (True, False), "learning rate": (None, None)}),
    ],
    ids=["maximised", "minimised", "cost"],
)
def test_signs_say_what_raises_an_objective_and_whether_that_helps(known, objective, signs) -> None:
    found = {one.parameter: one for one in importances_for(known, objective).parameters}
    assert {name: (found[name].raises, found[name].helps) for name in signs} == signs
    assert found["mean layer"].raises is None
    assert not found["mean layer"].above_chance
    assert found["lora size"].above_chance


def test_groups_tell_how_much_in_the_objectives_own_unit(known) -> None:
    found = {one.parameter: one for one in importances_for(known, LOSS).parameters}
    small, large = found["lora size"].groups
    assert small.label == "up to 4"
    assert large.label == "from 8"
    assert small.n_trials + large.n_trials == 60
    assert small.typical > large.typical
    best, worst = found["lora targets"].groups
    assert (best.label, worst.label) == ("query value", "query")
    assert found["lora targets"].correlation is None


def test_the_importance_of_nothing_is_no_more_than_chance() -> None:
    rng = random.Random(3)
    records = [
        TrialRecord(
            number,
            "complete",
            Configuration((PeftModule("lora", rng.choice([1, 2, 4]), (rng.randrange(6),)),), {"learning_rate": rng.uniform(0.001, 0.01)}),
            0,
            {"accuracy": rng.random()},
        )
        for number in range(24)
    ]
    assert not any(one.above_chance or one.helps is not None for one in importances_for(records, ACCURACY).parameters)


def test_of_a_search_with_rungs_the_first_one_tells_because_there_all_were_measured_alike(known) -> None:
    def at_rung(record: TrialRecord, state: str) -> TrialRecord:
        rung = RungResult(0.25, {}, record.values)
        return replace(record, state=state, rungs=(rung,), values={"accuracy": 0.9} if state == "complete" else {})

    records = [at_rung(record, "stopped" if record.number % 3 else "complete") for record in known]
    found = importances_for(records, ACCURACY)
    assert (found.progress, found.n_trials) == (0.25, 60)
    assert found.parameters == importances_for(known, ACCURACY).parameters


def test_few_trials_or_equal_results_tell_nothing(known) -> None:
    assert importances_for(known[: MIN_TRIALS - 1], ACCURACY).parameters == ()
    equal = [replace(record, values={"accuracy": 0.5}) for record in known]
    assert importances_for(equal, ACCURACY).parameters == ()
    assert importances_for([], ACCURACY).n_trials == 0
