from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional

from autopeft.budget import Budget
from autopeft.tasks import Batch, Task, family_of
from autopeft.training.recipes.schedules import schedule


def test_schedule_rises_over_the_warm_up_and_falls_to_nothing() -> None:
    factors = [schedule("linear", step, 100, 0.1) for step in range(100)]
    assert factors[:10] == pytest.approx([(step + 1) / 11 for step in range(10)])
    assert factors[10] == 1.0
    assert max(factors) == 1.0
    assert factors[-1] == pytest.approx(1 / 90)
    assert schedule("linear", 100, 100, 0.1) == 0.0
    assert schedule("linear", 0, 1, 0.0) == 1.0


@pytest.mark.parametrize(("name", "at"), [("cosine", [1, 0.5, 0]), ("constant", [1, 1, 1]), ("stable_decay", [1, 1, 0])])
def test_other_schedules(name: str, at: list[float]) -> None:
    assert [schedule(name, step, 110, 10 / 110) for step in (10, 60, 110)] == pytest.approx(at)
    assert schedule(name, 4, 110, 10 / 110) == pytest.approx(5 / 11)
    assert schedule("stable_decay", 100, 110, 10 / 110) == pytest.approx(0.5)


@pytest.mark.parametrize("kind", ["classification", "regression", "multi_label"])
def test_the_loss_is_the_textbook_one(kind: str) -> None:
    logits = torch.tensor([[0.5, 1.5], [2.0, -1.0]])
    labels = {
        "classification": torch.tensor([1, 0]),
        "regression": torch.tensor([1.0, 3.0]),
        "multi_label": torch.tensor([[1.0, 0.0], [1.0, 1.0]]),
    }
    expected = {
        "classification": -functional.log_softmax(logits, -1)[[0, 1], labels["classification"]].sum(),
        "regression": ((logits[:, 0] - labels["regression"]) ** 2).sum(),
        "multi_label": -torch.where(labels["multi_label"] > 0, logits.sigmoid().log(), (-logits).sigmoid().log()).mean(1).sum(),
    }
    names, metric = (() if kind == "regression" else ("a", "b")), "loss"
    family = family_of(Task("t", kind, ("text",), "label", names, metric, (metric,), Budget()))
    assert family.loss(SimpleNamespace(logits=logits), Batch({}, labels[kind])) == pytest.approx(float(expected[kind]))
