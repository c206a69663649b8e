import math

import pytest

from autopeft.objectives import Objective
from autopeft.study.record import RungResult, early_metric

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
    assert early_metric(metrics) == name
    assert result.early_loss(ACCURACY) == loss
    assert result.early_loss(PARAMETERS) == 10.0
    assert math.isnan(RungResult(0.5, {}, {}).early_loss(PARAMETERS))
