"""Records made up for the report's tests: no study, no training."""

import math
import random
from collections.abc import Callable

import pytest

from autopeft.configuration import Configuration, PeftModule
from autopeft.objectives import TRAINABLE_PARAMETERS, Objective
from autopeft.report.header import RunHeader
from autopeft.study.record import TrialRecord

ACCURACY = Objective("accuracy", "maximize")


@pytest.fixture
def objectives() -> tuple[Objective, ...]:
    return ACCURACY, TRAINABLE_PARAMETERS


@pytest.fixture
def header() -> RunHeader:
    return RunHeader("demo", "mrpc", "all-MiniLM-L6-v2", "1,000 training examples x 3 epochs", 770, 22_713_216)


@pytest.fixture
def trial() -> Callable[..., TrialRecord]:
    def make(number: int, accuracy: float, parameters: int, **more: object) -> TrialRecord:
        modules = (PeftModule("lora", 8, (0, 2, 4), ("query", "value")),) if parameters else ()
        fields = {"metrics": {"f1": accuracy - 0.01, "accuracy": accuracy}, "seconds": 12.34, "trainable_parameters": parameters, **more}
        fields.setdefault("values", {"accuracy": accuracy, "trainable_parameters": float(parameters)})
        return TrialRecord(number, "complete", Configuration(modules, {"learning_rate": 0.001}), seed=0, **fields)

    return make


@pytest.fixture
def failed() -> TrialRecord:
    return TrialRecord(9, "failed", Configuration((PeftModule("prefix", 3, (0,)),)), 0, error="loss is\nnot finite \x1b[31m")


@pytest.fixture
def records(trial: Callable[..., TrialRecord], failed: TrialRecord) -> list[TrialRecord]:
    """Front: 0, 3, 1. Dominated, best first: 4, 2. Failed: 9."""
    accuracies = {0: (0.70, 0), 1: (0.88, 294_912), 2: (0.69, 36_864), 3: (0.84, 12_288), 4: (0.80, 589_824)}
    return [*(trial(number, accuracy, parameters) for number, (accuracy, parameters) in accuracies.items()), failed]


@pytest.fixture
def many_records(trial: Callable[..., TrialRecord]) -> list[TrialRecord]:
    """Sixty trials that look like a real run's: accuracy saturates with the parameters' logarithm, with noise."""
    rng = random.Random(0)
    found = [trial(0, 0.684, 0)]
    for number in range(1, 60):
        parameters = int(10 ** rng.uniform(2.8, 6.2)) // 384 * 384 + 384
        saturation = 1 - math.exp(-(math.log10(parameters) - 2.3))
        found.append(trial(number, round(0.68 + 0.19 * saturation + rng.gauss(0, 0.02), 4), parameters))
    return found
