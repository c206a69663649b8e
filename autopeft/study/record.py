"""A trial as it is remembered, independent of what stores it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from autopeft.configuration import Configuration
from autopeft.objectives import Objective, losses
from autopeft.pareto import non_dominated

State = Literal["complete", "failed", "running"]


@dataclass(frozen=True)
class TrialRecord:
    """One trial of a study."""

    number: int
    state: State
    configuration: Configuration
    seed: int
    values: Mapping[str, float] = field(default_factory=dict)
    """Objective values by name; empty unless complete."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """All validation metrics by name; empty unless complete."""
    trainable_parameters: int | None = None
    """Parameters of the PEFT modules; None until known."""
    seconds: float | None = None
    """Wall-clock seconds of the trial."""
    peak_bytes: int | None = None
    exceeds: tuple[str, ...] = ()
    """The costs that lie above a bound of the search; such a trial is complete but infeasible, and never on the front."""
    error: str = ""
    """Why it failed, in one line."""

    def to_row(self, on_front: bool | None = None) -> dict[str, Any]:
        """Return the flat form that tables, `show --format json` and trials.jsonl use; the last can't know who stays on the front."""
        return {
            "trial": self.number,
            "state": self.state,
            **({} if on_front is None else {"on_front": on_front}),
            "trainable_parameters": self.trainable_parameters,
            **{name: value for name, value in self.values.items() if name not in ("trainable_parameters", "peak_bytes")},
            **self.metrics,
            "seconds": None if self.seconds is None else round(self.seconds, 3),
            "peak_bytes": self.peak_bytes,
            "configuration": self.configuration.to_dict(),
            "configuration_id": self.configuration.id,
            "seed": self.seed,
            **({"exceeds": list(self.exceeds)} if self.exceeds else {}),
            **({"error": self.error} if self.error else {}),
        }


def best(front: Sequence[TrialRecord], objectives: Sequence[Objective]) -> TrialRecord:
    """Return the front's trial that is best on the first objective; of equals, on the second, and so on."""
    return min(front, key=lambda record: losses(objectives, [record.values])[0].tolist())


def front(records: Sequence[TrialRecord], objectives: Sequence[Objective]) -> list[TrialRecord]:
    """Return the complete, feasible trials that no other such dominates, in rising order of the last objective's loss."""
    complete = [record for record in records if record.state == "complete" and not record.exceeds]
    points = losses(objectives, [record.values for record in complete])
    order = np.lexsort(points.T)
    on_front = non_dominated(points)
    return [complete[index] for index in order if on_front[index]]
