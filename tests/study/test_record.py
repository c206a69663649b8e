import math

import pytest

from autopeft import pareto
from autopeft.configuration import Configuration
from autopeft.objectives import Objective, losses
from autopeft.study.record import RungResult, TrialRecord, early_metric, knee
from autopeft.tasks import early_metrics, family_of, get_task

EARLY = early_metrics(family_of(get_task("mrpc")).metrics.values())
ACCURACY, PARAMETERS = Objective("accuracy", "maximize"), Objective("trainable_parameters", "minimize")


@pytest.mark.parametrize(
    ("metrics", "name", "loss"),
    [
        ({"accuracy": 0.7, "average_precision": 0.8, "loss": 0.6}, "average_precision", -0.8),
        ({"accuracy": 0.7, "loss": 0.6}, "loss", 0.6),
        ({"accuracy": 0.7}, None, -0.7),
    ],
)
def test_what_ranks_early_stands_for_the_task_s_metric(metrics: dict[str, float], name: str | None, loss: float) -> None:
    result = RungResult(0.5, metrics, {"accuracy": 0.7, "trainable_parameters": 10.0})
    assert early_metric(metrics, EARLY) == name
    assert result.early_losses([ACCURACY, PARAMETERS], EARLY) == (loss, 10.0)
    assert math.isnan(RungResult(0.5, {}, {}).early_losses([PARAMETERS], EARLY)[0])


def test_every_metric_that_is_traded_off_has_an_early_column_of_its_own() -> None:
    metrics = {"accuracy": 0.7, "f1": 0.5, "average_precision": 0.8, "loss": 0.6}
    result = RungResult(0.5, metrics, metrics)
    f1, loss, precision = Objective("f1", "maximize"), Objective("loss", "minimize"), Objective("average_precision", "maximize")
    assert result.early_losses([ACCURACY, f1], EARLY) == (-0.8, -0.5)
    assert result.early_losses([f1, ACCURACY], EARLY) == (-0.8, -0.7)
    assert result.early_losses([loss, ACCURACY], EARLY) == (0.6, -0.8)
    assert result.early_losses([precision, ACCURACY], EARLY) == (-0.8, 0.6)
    assert result.early_losses([precision, loss, ACCURACY], EARLY) == (-0.8, 0.6, -0.7)


def test_objectives_that_are_measured_at_the_end_alone_rank_nothing_before() -> None:
    rouge, match, loss = Objective("rouge_l", "maximize"), Objective("exact_match", "maximize"), Objective("loss", "minimize")
    result = RungResult(0.5, {"loss": 0.6}, {"loss": 0.6, "rouge_l": math.nan, "exact_match": math.nan, "latency_seconds": math.nan})
    late, latency = {"rouge_l", "exact_match", "latency_seconds"}, Objective("latency_seconds", "minimize")
    assert result.early_losses([rouge, match, latency], EARLY, late) == (0.6, 0.0, 0.0)
    assert result.early_losses([rouge, loss], EARLY, late) == (0.0, 0.6)


def test_the_knee_is_of_the_parameters_ratios() -> None:
    """A front in the order of a plot: from 10 to 100 parameters accuracy rises most; of 10,000 parameters 1,000 are next to nothing too."""
    values = [(0.60, 10.0), (0.78, 100.0), (0.80, 1000.0), (0.81, 10_000.0)]
    records = [
        TrialRecord(n, "complete", Configuration(), 0, {"accuracy": accuracy, "trainable_parameters": parameters})
        for n, (accuracy, parameters) in enumerate(values)
    ]
    objectives = (ACCURACY, PARAMETERS)
    assert knee(records, objectives).number == 1
    assert pareto.knee(losses(objectives, [record.values for record in records])) == 2  # on a linear scale
