"""How a point of a search space is written as an Optuna trial's parameters.

An ordinal parameter is written as its level, because Optuna's integer distributions know only even steps and its categorical ones
know no order; the name says so: "lora.size.level".
"""

from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from autopeft.configuration import Scalar
from autopeft.space.parameter import Categorical, Ordinal, Parameter, Real
from autopeft.space.space import Point, SearchSpace


def distributions(space: SearchSpace) -> dict[str, BaseDistribution]:
    """Return the Optuna distribution of every parameter, by its written name."""
    return {_written(parameter): _distribution(parameter) for parameter in space.parameters}


def to_point(space: SearchSpace, params: Mapping[str, Any]) -> dict[str, Scalar]:
    """Read a trial's parameters as a point."""
    return {parameter.name: _read(parameter, params[_written(parameter)]) for parameter in space.parameters}


def to_params(space: SearchSpace, point: Point) -> dict[str, Any]:
    """Write a point as a trial's parameters."""
    return {
        _written(parameter): parameter.index(point[parameter.name]) if isinstance(parameter, Ordinal) else point[parameter.name]
        for parameter in space.parameters
    }


def _written(parameter: Parameter) -> str:
    return f"{parameter.name}.level" if isinstance(parameter, Ordinal) and not parameter.are_ranks else parameter.name


def _read(parameter: Parameter, written: Any) -> Scalar:
    value: Scalar = parameter.values[written] if isinstance(parameter, Ordinal) else written
    return value


def _distribution(parameter: Parameter) -> BaseDistribution:
    match parameter:
        case Ordinal():
            return IntDistribution(0, len(parameter.values) - 1)
        case Real():
            return FloatDistribution(parameter.low, parameter.high, log=parameter.log)
        case Categorical():
            return CategoricalDistribution(parameter.values)
        case _:
            raise TypeError(f"no Optuna distribution stands for {type(parameter).__name__}")
