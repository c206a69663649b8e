import math

import numpy as np
import pytest

from autopeft.errors import InvalidInputError
from autopeft.space.parameter import Categorical, Ordinal, Parameter, Real

PARAMETERS = [
    Ordinal("size", (0, 1, 4, 16)),
    Ordinal("single", (8,)),
    Ordinal("off or on", (0, 1, 4, 16), first_is_off=True),
    Ordinal("off", (0,), first_is_off=True),
    Categorical("targets", ("query", "value", "all")),
    Categorical("dora", (False, True)),
    Real("share", 0.25, 0.75),
    Real("learning_rate", 1e-5, 1e-2, log=True),
]
by_name = pytest.mark.parametrize("parameter", PARAMETERS, ids=lambda parameter: parameter.name)


@by_name
def test_encoding_round_trip(parameter: Parameter) -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        value = parameter.sample(rng)
        coordinates = parameter.encode(value)
        assert len(coordinates) == parameter.width
        assert all(0 <= number <= 1 for number in coordinates)
        assert parameter.decode(coordinates) == pytest.approx(value)


@by_name
def test_neighbours_are_other_values_of_the_parameter(parameter: Parameter) -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        value = parameter.sample(rng)
        neighbours = parameter.neighbours(value, rng)
        assert value not in neighbours
        assert all(parameter.encode(neighbour) for neighbour in neighbours)
        assert (not neighbours) == (parameter.n_values == 1)


def test_ordinal_neighbours_are_one_step_and_off() -> None:
    rng = np.random.default_rng(0)
    assert Ordinal("size", (0, 1, 4, 16)).neighbours(16, rng) == [0, 4]
    assert Ordinal("size", (0, 1, 4, 16)).neighbours(0, rng) == [1]


def test_log_scale_samples_every_decade_alike() -> None:
    rng = np.random.default_rng(0)
    parameter = Real("learning_rate", 1e-4, 1e-2, log=True)
    below = np.mean([parameter.sample(rng) < 1e-3 for _ in range(2000)])
    assert below == pytest.approx(0.5, abs=0.05)
    assert parameter.decode([0.5]) == pytest.approx(1e-3)
    assert (parameter.decode([-1.0]), parameter.decode([2.0])) == pytest.approx((1e-4, 1e-2))


@pytest.mark.parametrize(
    ("parameter", "value"),
    [(PARAMETERS[0], 3), (PARAMETERS[0], True), (PARAMETERS[2], "key"), (PARAMETERS[4], 0.8)],
    ids=["no such size", "a bool is no size", "no such choice", "outside"],
)
def test_values_outside_are_refused(parameter: Parameter, value: object) -> None:
    with pytest.raises(InvalidInputError, match=parameter.name):
        parameter.encode(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Ordinal("x", ()),
        lambda: Ordinal("x", (1, 1)),
        lambda: Categorical("x", ()),
        lambda: Real("x", 1.0, 1.0),
        lambda: Real("x", 0.0, math.inf),
        lambda: Real("x", 0.0, 1.0, log=True),
    ],
    ids=["no value", "twice", "no choice", "empty interval", "infinite", "log of 0"],
)
def test_impossible_parameters_are_refused(make: object) -> None:
    with pytest.raises(InvalidInputError, match="x"):
        make()  # type: ignore[operator]
