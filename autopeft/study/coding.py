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


class Coding:
    """Writes points of one space and reads them."""

    def __init__(self, space: SearchSpace) -> None:
        self.distributions: dict[str, BaseDistribution] = {_written(parameter): _distribution(parameter) for parameter in space.parameters}
        """The Optuna distribution of every parameter, by its written name."""
        self._columns = [(parameter.name, _written(parameter), _ranked(parameter)) for parameter in space.parameters]

    def to_point(self, params: Mapping[str, Any]) -> dict[str, Scalar]:
        """Read a trial's parameters as a point."""
        return {name: params[written] if ranked is None else ranked.values[params[written]] for name, written, ranked in self._columns}

    def to_params(self, point: Point) -> dict[str, Any]:
        """Write a point as a trial's parameters."""
        return {written: point[name] if ranked is None else ranked.index(point[name]) for name, written, ranked in self._columns}


def _written(parameter: Parameter) -> str:
    return parameter.name if _ranked(parameter) is None else f"{parameter.name}.level"


def _ranked(parameter: Parameter) -> Ordinal | None:
    """Return a parameter whose levels are written, None if its values are."""
    return parameter if isinstance(parameter, Ordinal) and not parameter.are_ranks else None


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
