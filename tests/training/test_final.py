import math

import pytest
import torch
from torch import nn

from autopeft.tasks import family_of, get_task
from autopeft.training.final import BestEpoch
from autopeft.training.loop import DivergedError
from autopeft.training.measurement import CurvePoint


def kept(metrics: list[dict[str, float]]) -> tuple[float, float]:
    """Return the epoch that is kept, and the parameter's value then; it is the epoch's number."""
    parameter = nn.Parameter(torch.zeros(1))
    best = BestEpoch({"p": parameter}, family_of(get_task("mrpc")))
    for epoch, found in enumerate(metrics, start=1):
        parameter.data.fill_(epoch)
        best.offer(CurvePoint(epoch, epoch / len(metrics), 0, 0.0, found))
    return best.restore().epoch, parameter.item()


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ([{"accuracy": 0.7}, {"accuracy": 0.9}, {"accuracy": 0.8}], 2),
        ([{"accuracy": 0.7, "loss": 0.6}, {"accuracy": 0.7, "loss": 0.5}, {"accuracy": 0.7, "loss": 0.55}], 2),
        ([{"accuracy": 0.7}, {"accuracy": 0.7}], 1),
        ([{"accuracy": math.nan}, {"accuracy": 0.2}, {"accuracy": math.nan}], 2),
    ],
    ids=["best metric", "then lower loss", "then the earlier", "NaN never"],
)
def test_which_epoch_is_kept(metrics: list[dict[str, float]], expected: int) -> None:
    assert kept(metrics) == (expected, expected)


def test_no_finite_epoch_is_an_error() -> None:
    with pytest.raises(DivergedError, match="no epoch has finite scores"):
        kept([{"accuracy": math.nan}])
