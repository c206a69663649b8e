"""What can be told of a trial's parameters before any training: what they mean, what they cost, what lies one step away."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autopeft.configuration import Configuration, Scalar
from autopeft.objectives import Objective
from autopeft.samplers.registry import Knowledge
from autopeft.samplers.view import SpaceHints
from autopeft.space.space import SearchSpace
from autopeft.study import coding

Parameters = dict[str, Any]
KnownValues = Callable[[Configuration], Mapping[str, float] | None]
"""The known objectives' values of a configuration, by name; None: the backbone can't take it."""

CACHE_SIZE = 20_000
"""A suggestion looks at a few thousand points, many of them more than once and again at the next."""


class Foresight:
    """A search space as samplers see it: everything is a function of a trial's parameters.

    Args:
        space: What to choose from.
        objectives: What is traded off.
        known: What a configuration's known objectives come to.
    """

    def __init__(self, space: SearchSpace, objectives: Sequence[Objective], known: KnownValues) -> None:
        self._space, self._objectives, self._known = space, tuple(objectives), known
        self._distributions = coding.distributions(space)
        self._look = lru_cache(CACHE_SIZE)(self._work_out)

    def identity(self, params: Parameters) -> str | None:
        """Return what a trial means, the id of its configuration; None if it must not be proposed.

        That is what can't be built, and what has no module: the head alone is no answer to which modules to use.
        """
        return self._seen(params)[0]

    def neighbours(self, params: Parameters, rng: np.random.Generator) -> list[Parameters]:
        """Return the parameters one step away."""
        points = self._space.neighbours(coding.to_point(self._space, params), rng)
        return [coding.to_params(self._space, point) for point in points]

    def knowledge(self) -> Knowledge:
        """Return all of it in the form that samplers take."""
        known = {index: self._value(objective.name) for index, objective in enumerate(self._objectives) if objective.known}
        hints = SpaceHints(identity=self.identity, encode=self._encode, features=self._features, neighbours=self.neighbours)
        return Knowledge(self._distributions, known, hints)

    def _value(self, name: str) -> Callable[[Parameters], float]:
        def value(params: Parameters) -> float:
            known = self._seen(params)[1]
            return float("nan") if known is None else known[name]

        return value

    def _encode(self, trials: Sequence[Parameters]) -> NDArray[np.float64]:
        return self._space.encode([self._space.canonical(point) for point in self._points(trials)])

    def _features(self, trials: Sequence[Parameters]) -> NDArray[np.float64]:
        return self._space.layer_features(self._points(trials))

    def _points(self, trials: Sequence[Parameters]) -> list[dict[str, Scalar]]:
        return [coding.to_point(self._space, params) for params in trials]

    def _seen(self, params: Parameters) -> tuple[str | None, Mapping[str, float] | None]:
        return self._look(tuple(params[name] for name in self._distributions))

    def _work_out(self, values: tuple[Any, ...]) -> tuple[str | None, Mapping[str, float] | None]:
        params = dict(zip(self._distributions, values, strict=True))
        configuration = self._space.configuration(coding.to_point(self._space, params))
        known = self._known(configuration)
        return None if known is None or not configuration.modules else configuration.id, known
