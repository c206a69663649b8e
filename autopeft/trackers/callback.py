"""What hears of a search: a tracker, or anybody's own code."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autopeft.objectives import Objective
from autopeft.study.record import TrialRecord

_NOT_COSTS = ("trial", "seed")


@dataclass(frozen=True)
class TrackedSearch:
    """A search that begins, or goes on."""

    name: str
    """The run's name, that of its folder."""
    id: str
    """Twelve hexadecimal digits, the same whenever the run is resumed."""
    folder: Path
    settings: Mapping[str, Any]
    """What was asked, by setting."""
    objectives: tuple[Objective, ...]


@dataclass(frozen=True)
class TrackedTrial:
    """A trial that is over."""

    record: TrialRecord
    curve: tuple[Mapping[str, Any], ...]
    """Its measurements in order: epoch, progress, examples_seen, train_loss, metrics. Empty if it failed."""
    on_front: bool
    """Whether nothing dominates it so far."""

    @property
    def parameters(self) -> dict[str, Any]:
        """Its configuration as flat names and values: description, learning_rate, lora.size, lora.layers, ..."""
        flat: dict[str, Any] = {"configuration": self.record.configuration.describe(), **self.record.configuration.training}
        methods = [module.method for module in self.record.configuration.modules]
        for place, module in enumerate(self.record.configuration.modules):
            name = module.method if methods.count(module.method) == 1 else f"{module.method}.{place}"
            flat[f"{name}.size"] = module.size
            if module.layers is not None:
                flat[f"{name}.layers"] = " ".join(map(str, module.layers))
            if module.targets:
                flat[f"{name}.targets"] = " ".join(module.targets)
            flat |= {f"{name}.{option}": value for option, value in module.options.items()}
        return flat | {"seed": self.record.seed}

    @property
    def results(self) -> dict[str, float]:
        """All that is known of it as a finite number, by name: objectives, metrics, costs."""
        row = self.record.to_row()
        return {name: float(value) for name, value in row.items() if name not in _NOT_COSTS and _is_number(value)}

    @property
    def points(self) -> list[tuple[int, dict[str, float]]]:
        """Its curve as pairs of examples seen and finite numbers by name: epoch, train_loss, validation_accuracy, ..."""
        return [
            (
                int(point["examples_seen"]),
                {
                    name: float(value)
                    for name, value in {
                        "epoch": point["epoch"],
                        "train_loss": point["train_loss"],
                        **{f"validation_{metric}": value for metric, value in point["metrics"].items()},
                    }.items()
                    if _is_number(value)
                },
            )
            for point in self.curve
        ]


class Callback:
    """Hears of a search; override what you need.

    Whatever a callback raises is a warning, and it hears nothing more: it never ends a search. It is called by the process that drives the
    search, between trials, and should not take long.
    """

    def search_started(self, search: TrackedSearch) -> None:
        """Hear that a search begins, or goes on."""

    def trial_finished(self, trial: TrackedTrial) -> None:
        """Hear that a trial is over: complete, stopped at a rung, or failed."""

    def search_finished(self, front: Sequence[TrialRecord]) -> None:
        """Hear that a search ends, by itself or not, and what its front is."""


def front_rows(front: Sequence[TrialRecord]) -> list[dict[str, Any]]:
    """Return a front as a table's rows: trial, objectives, configuration."""
    return [{"trial": record.number, **record.values, "configuration": record.configuration.describe()} for record in front]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
