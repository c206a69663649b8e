import pytest
import torch
from torch.nn import functional

from autopeft.training.loop import linear_schedule


def test_schedule_rises_over_the_warm_up_and_falls_to_nothing() -> None:
    factors = [linear_schedule(step, 100, 0.1) for step in range(100)]
    assert factors[:10] == pytest.approx([(step + 1) / 11 for step in range(10)])
    assert factors[10] == 1.0
    assert max(factors) == 1.0
    assert factors[-1] == pytest.approx(1 / 90)
    assert linear_schedule(100, 100, 0.1) == 0.0
    assert linear_schedule(0, 1, 0.0) == 1.0


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_task_loss_is_the_textbook_one(kind: str) -> None:
    from types import SimpleNamespace

    from autopeft.training.loop import task_loss

    logits = torch.tensor([[0.5, 1.5], [2.0, -1.0]])
    model = SimpleNamespace(__call__=None)
    model = lambda **batch: SimpleNamespace(logits=logits)  # noqa: E731
    if kind == "classification":
        labels = torch.tensor([1, 0])
        expected = -functional.log_softmax(logits, -1)[[0, 1], labels].mean()
    else:
        labels = torch.tensor([1.0, 3.0])
        expected = ((logits[:, 0] - labels) ** 2).mean()
    assert task_loss(model, SimpleNamespace(kind=kind), {}, labels) == pytest.approx(float(expected))  # type: ignore[arg-type]
