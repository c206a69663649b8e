import pytest

from autopeft.errors import InvalidInputError, UnknownNameError
from autopeft.objectives import (
    ADAPTER_BYTES,
    TRAINABLE_PARAMETERS,
    ZERO_GAP_DECADES,
    Constraint,
    Direction,
    Objective,
    choose_objectives,
    comparable_losses,
)

METRICS: dict[str, Direction] = {"accuracy": "maximize", "f1": "maximize", "loss": "minimize"}


def test_metrics_come_before_costs() -> None:
    chosen = choose_objectives(["train_seconds", "f1", "trainable_parameters", "loss"], METRICS)
    assert [(one.name, one.direction, one.known) for one in chosen] == [
        ("f1", "maximize", False),
        ("loss", "minimize", False),
        ("train_seconds", "minimize", False),
        ("trainable_parameters", "minimize", True),
    ]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["accuracy"], "2 to 4 different objectives"),
        (["accuracy", "accuracy"], "2 to 4 different objectives"),
        (["accuracy", "f1", "loss", "peak_bytes", "train_seconds"], "2 to 4 different objectives"),
        (["adapter_bytes", "peak_bytes"], r"must be a metric of the task.*reports accuracy, f1, loss"),
    ],
)
def test_impossible_objectives(names: list[str], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        choose_objectives(names, METRICS)


def test_unknown_objectives() -> None:
    with pytest.raises(UnknownNameError, match="latency_seconds"):
        choose_objectives(["accuracy", "latency"], METRICS)


def test_the_excess_is_a_share_of_the_bound() -> None:
    bound = Constraint(TRAINABLE_PARAMETERS, 200.0)
    assert [bound.excess(value) for value in (100.0, 200.0, 300.0)] == [-0.5, 0.0, 0.5]
    with pytest.raises(InvalidInputError, match="adapter_bytes must be above 0"):
        Constraint(ADAPTER_BYTES, 0.0)


def test_costs_are_compared_by_their_ratios_and_none_at_all_is_less_than_the_least() -> None:
    objectives = (Objective("accuracy", "maximize"), TRAINABLE_PARAMETERS)
    values = [{"accuracy": 0.5, "trainable_parameters": n} for n in (0, 10, 1000)]
    assert comparable_losses(objectives, values).tolist() == [[-0.5, 1 - ZERO_GAP_DECADES], [-0.5, 1.0], [-0.5, 3.0]]
    assert comparable_losses(objectives, values[:1])[0, 1] == -ZERO_GAP_DECADES
