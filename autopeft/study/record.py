"""A trial as it is remembered, independent of what stores it."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, Self

import numpy as np

from autopeft import pareto
from autopeft.configuration import Configuration
from autopeft.costs import COST_NAMES, Costs, total
from autopeft.objectives import Direction, Objective, comparable_losses, losses

State = Literal["complete", "failed", "running", "paused", "stopped"]
"""A paused trial waits at a rung, a stopped one was never let go on from it."""

CONFIRMATION_SEED = 0
"""Of a confirmation: the first seed of a retraining."""

EarlyMetrics = Mapping[str, Direction]
"""By name of a metric that may stand for the searched one before the end, which way it is better; the best to go by first."""


def early_metric(metrics: Mapping[str, float], early: EarlyMetrics) -> str | None:
    """Return which of the metrics that were measured stands for the searched one, if any does."""
    return next((name for name in early if name in metrics), None)


def early_loss(metrics: Mapping[str, float], early: EarlyMetrics) -> float:
    """Return the value of `early_metric`, smaller is better; NaN if there is none."""
    name = early_metric(metrics, early)
    return math.nan if name is None else (-1.0 if early[name] == "maximize" else 1.0) * metrics[name]


@dataclass(frozen=True)
class RungResult:
    """What a trial had come to when it reached a rung."""

    progress: float
    """Share of the budget's steps done, below 1."""
    metrics: Mapping[str, float]
    """All validation metrics by name."""
    values: Mapping[str, float]
    """The objectives' values by name, as far as they are known before the end."""

    def early_losses(self, objectives: Sequence[Objective], early: EarlyMetrics, late: Collection[str] = ()) -> tuple[float, ...]:
        """Return what tells early how a trial will do in each objective, smaller is better; NaN where nothing does.

        A metric that ranks early stands for one objective only, the first metric that doesn't rank early itself, and for none if it is an
        objective too. Every other has its own value: two objectives in one column would be no trade-off. One of those that are measured at
        the end alone, which `late` names, is the same for all trials: a NaN would put all of them last.
        """
        names = [objective.name for objective in objectives]
        others = {name: direction for name, direction in early.items() if name in self.metrics and name not in names}
        main = next((objective.name for objective in objectives if not objective.is_cost and objective.name not in early), None)

        def loss(objective: Objective) -> float:
            if others and objective.name == main:
                return early_loss(self.metrics, others)
            return 0.0 if objective.name in late else objective.sign * self.values.get(objective.name, math.nan)

        return tuple(map(loss, objectives))


@dataclass(frozen=True)
class Confirmation(Costs):
    """A training of a trial's configuration at the full budget, as a retraining with the seed 0; it never saw test examples."""

    state: Literal["running", "complete", "failed"]
    values: Mapping[str, float] = field(default_factory=dict)
    """Objective values by name; empty unless complete, as what follows."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """All validation metrics of the epoch that was kept."""
    epoch: float | None = None
    """The epoch that was kept: the best on validation data."""
    exceeds: tuple[str, ...] = ()
    """The costs that lie above a bound of the search."""
    error: str = ""
    """Why it failed, in one line."""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` wrote."""
        return cls(**{**data, "exceeds": tuple(data.get("exceeds", ()))})

    def to_row(self) -> dict[str, Any]:
        """Return the form that `show --format json` and trials.jsonl use."""
        return {
            "state": self.state,
            **self.values,
            **self.metrics,
            "epoch": self.epoch,
            **self.cost_row(),
            **({"exceeds": list(self.exceeds)} if self.exceeds else {}),
            **({"error": self.error} if self.error else {}),
        }


@dataclass(frozen=True)
class TrialRecord(Costs):
    """One trial of a study, with what it cost at low cost; of a trial that several assignments trained, all of them together."""

    number: int
    state: State
    configuration: Configuration
    seed: int
    values: Mapping[str, float] = field(default_factory=dict)
    """Objective values by name; empty unless complete."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """All validation metrics by name; empty unless complete, so that a partial measurement never passes for a final one."""
    rungs: tuple[RungResult, ...] = ()
    """What it had come to at each rung that it reached before the end."""
    trainable_parameters: int | None = None
    """Parameters of the PEFT modules; None until known."""
    exceeds: tuple[str, ...] = ()
    """The costs that lie above a bound of the search; such a trial is complete but infeasible, and never on the front."""
    error: str = ""
    """Why it failed, in one line."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Where it ran: node, device, and which GPUs its process saw; empty of what an earlier version ran."""
    is_extra: bool = False
    """Whether it was proposed while trials were confirmed, beyond the number that was asked for."""
    confirmation: Confirmation | None = None
    """Its training at the full budget; None if there was none. All else in a record is of the low-cost trial."""
    low_cost: "TrialRecord | None" = None
    """The trial as it was searched, if this record shows it as it was confirmed; see `at_full_budget`."""

    @property
    def confirmed(self) -> bool:
        """Whether it was trained well at the full budget."""
        return self.confirmation is not None and self.confirmation.state == "complete"

    def at_full_budget(self) -> "TrialRecord":
        """Return a confirmed trial with the metrics, values and costs of its training at the full budget in place of the low-cost ones."""
        found = self.confirmation
        assert found is not None, "only a confirmed trial has results at the full budget"
        assert found.state == "complete"
        return replace(
            self,
            seed=CONFIRMATION_SEED,
            values=found.values,
            metrics=found.metrics,
            **found.cost_fields(),
            exceeds=found.exceeds,
            low_cost=self,
        )

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in ("complete", "failed", "stopped")

    @property
    def progress(self) -> float:
        """Share of the budget's steps that its last measurement stands for; 0 without one."""
        if self.state == "complete":
            return 1.0
        return self.rungs[-1].progress if self.rungs else 0.0

    def to_row(self, on_front: bool | None = None) -> dict[str, Any]:
        """Return the flat form that tables, `show --format json` and trials.jsonl use; the last can't know who stays on the front.

        Metrics and costs are those of the low-cost trial; what it came to at the full budget stands under "full_budget".
        """
        if self.low_cost is not None:
            return self.low_cost.to_row(on_front)
        return {
            "trial": self.number,
            "state": self.state,
            **({} if on_front is None else {"on_front": on_front}),
            "confirmed": self.confirmed,
            "trainable_parameters": self.trainable_parameters,
            **{name: value for name, value in self.values.items() if name not in ("trainable_parameters", *COST_NAMES)},
            **self.metrics,
            **self.cost_row(),
            **({} if self.confirmation is None else {"full_budget": self.confirmation.to_row()}),
            **({"rungs": [asdict(rung) for rung in self.rungs]} if self.rungs else {}),
            "configuration": self.configuration.to_dict(),
            "configuration_id": self.configuration.id,
            "seed": self.seed,
            **({"exceeds": list(self.exceeds)} if self.exceeds else {}),
            **({"error": self.error} if self.error else {}),
            **({"environment": dict(self.environment)} if self.environment else {}),
        }


def spent(records: Iterable[TrialRecord]) -> Costs:
    """Return what a search cost: its trials, also those that were stopped at a rung, and their trainings at the full budget."""
    records = list(records)
    return total([*records, *(one.confirmation for one in records if one.confirmation is not None)])


@dataclass(frozen=True)
class Expectation:
    """What a trial's configuration would measure on average over seeds, as far as the other trials tell."""

    mean: float
    deviation: float
    """Standard deviation of the mean; a single measurement scatters more."""


@dataclass(frozen=True)
class TrialTime:
    """When a trial ran that is over."""

    number: int
    began: datetime
    """When it was asked for, in local time."""
    ended: datetime
    suggestion_seconds: float | None
    """What the sampler took to propose it; None in runs from before this was recorded."""


def best(front: Sequence[TrialRecord], objectives: Sequence[Objective]) -> TrialRecord:
    """Return the front's trial that is best on the first objective; of equals, on the second, and so on."""
    return min(front, key=lambda record: losses(objectives, [record.values])[0].tolist())


def knee(front: Sequence[TrialRecord], objectives: Sequence[Objective]) -> TrialRecord:
    """Return the front's trial that gives up least of each objective, costs on a logarithmic scale; see `autopeft.pareto.knee`."""
    return front[pareto.knee(comparable_losses(objectives, [record.values for record in front]))]


def front(records: Sequence[TrialRecord], objectives: Sequence[Objective]) -> list[TrialRecord]:
    """Return the trials that no other dominates, in rising order of the last objective's loss.

    Where any trial is confirmed and within the bounds, these are confirmed ones, as they were at the full budget; else those of
    `low_cost_front`.
    """
    return low_cost_front([record.at_full_budget() for record in records if record.confirmed], objectives) or low_cost_front(
        records, objectives
    )


def low_cost_front(records: Sequence[TrialRecord], objectives: Sequence[Objective]) -> list[TrialRecord]:
    """Return the complete, feasible trials that no other such dominates as they are given, in rising order of the last objective's loss."""
    complete = [record for record in records if record.state == "complete" and not record.exceeds]
    points = losses(objectives, [record.values for record in complete])
    order = np.lexsort(points.T)
    on_front = pareto.non_dominated(points)
    return [complete[index] for index in order if on_front[index]]


def is_on_front(record: TrialRecord, records: Sequence[TrialRecord], objectives: Sequence[Objective]) -> bool:
    """Return whether a trial is one of the `low_cost_front` of these."""
    if record.state != "complete" or record.exceeds:
        return False
    others = losses(objectives, [other.values for other in records if other.state == "complete" and not other.exceeds])
    mine = losses(objectives, [record.values])
    return not ((others <= mine).all(axis=1) & (others < mine).any(axis=1)).any()
