"""The portfolio's entries, read from portfolio.yaml and translated to a backbone by relative depth and width."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import yaml

from autopeft.configuration import Configuration, PeftModule
from autopeft.methods.counting import count_parameters
from autopeft.methods.topology import Topology

_HIDDEN = "hidden/"


@dataclass(frozen=True)
class RateRule:
    """How a learning rate follows from the number of trainable parameters N: rate * (N / parameters)^power, at most the highest."""

    parameters: float
    power: float
    highest: float

    def __call__(self, rate: float, n_parameters: float) -> float:
        """Return the learning rate of a configuration with so many parameters, given that at `parameters`."""
        return float(min(self.highest, rate * (max(1.0, n_parameters) / self.parameters) ** self.power))


@dataclass(frozen=True)
class Entry:
    """One configuration of the portfolio, for any backbone."""

    name: str
    summary: str
    modules: tuple[Mapping[str, Any], ...]
    """As written: method, size, targets, and the stretch of the depth that has it."""
    learning_rate: float
    """At the rule's number of parameters."""
    rule: RateRule

    def build(self, topology: Topology) -> Configuration:
        """Return the configuration for a backbone.

        Raises:
            AutopeftError: The backbone can't take it.
        """
        modules = tuple(_module(module, topology) for module in self.modules)
        n_parameters = count_parameters(Configuration(modules), topology)
        return Configuration(modules, {"learning_rate": self.rate(n_parameters)})

    def rate(self, n_parameters: float) -> float:
        """Return its learning rate where it comes to so many parameters."""
        return self.rule(self.learning_rate, n_parameters)


@cache
def entries() -> tuple[Entry, ...]:
    """Return the portfolio, in the order in which a search tries it."""
    data = yaml.safe_load((resources.files("autopeft.portfolio") / "portfolio.yaml").read_text(encoding="utf-8"))
    rule = RateRule(**data["learning_rate"])
    return tuple(Entry(**{**entry, "modules": tuple(entry["modules"])}, rule=rule) for entry in data["entries"])


def _module(written: Mapping[str, Any], topology: Topology) -> PeftModule:
    low, high = written["layers"]
    layers = layers_between(low, high, topology.n_layers)
    return PeftModule(written["method"], _size(written.get("size", 1), topology.hidden_size), layers, tuple(written.get("targets", ())))


def _size(written: int | str, hidden_size: int) -> int:
    return max(1, round(hidden_size / int(written.removeprefix(_HIDDEN)))) if isinstance(written, str) else written


def layers_between(low: float, high: float, n_layers: int) -> tuple[int, ...]:
    """Return the layers whose middle lies in a stretch of the depth; if there is none, the one nearest to the stretch's middle."""
    middles = [(layer + 0.5) / n_layers for layer in range(n_layers)]
    inside = tuple(layer for layer, middle in enumerate(middles) if low <= middle <= high)
    return inside or tuple(sorted(range(n_layers), key=lambda layer: abs(middles[layer] - (low + high) / 2))[:1])
