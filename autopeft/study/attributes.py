"""How a trial lies in Optuna's storage: what is written as its attributes, and how a record is read off them.

Nothing here imports Optuna: `stored` reads what lies there without it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from autopeft.configuration import Configuration
from autopeft.costs import COST_NAMES, recorded_costs
from autopeft.objectives import ADAPTER_BYTES, Objective, adapter_bytes
from autopeft.study.record import RungResult, State, TrialRecord

if TYPE_CHECKING:
    from autopeft.training.measurement import Measurement

MEASURED = ("trainable_parameters", "latency_seconds", *COST_NAMES)
"""What of a measurement, besides metrics, a trial is stored with."""
START = "start"
"""Names the preset that the trial was queued for."""
RUNGS = "rungs"
"""Of a trial that paused: a list of what it had come to at each rung, as `RungResult`."""
GOES_ON = "goes_on_from_rung"
"""The number of its rungs when it last went on."""
ENVIRONMENT = "environment"
"""Where the trial ran last: node, device, and which GPUs its process saw."""
EXTRA = "extra"
"""Whether the trial was proposed while others were confirmed."""
SUGGESTION_SECONDS = "suggestion_seconds"
"""What the sampler took to propose it."""
_METRIC_PREFIX = "validation_"
_STATES: dict[str, State] = {"COMPLETE": "complete", "FAIL": "failed", "RUNNING": "running", "PRUNED": "stopped"}


@dataclass(frozen=True)
class StoredTrial:
    """A trial as Optuna stores it."""

    number: int
    state: str
    """Optuna's name of it: COMPLETE, FAIL, RUNNING, PRUNED, or WAITING in the queue."""
    values: Sequence[float]
    """One an objective; empty unless complete."""
    user_attrs: Mapping[str, Any]
    constraints: Mapping[str, float]
    """By name of a bound, by how much the trial exceeds it."""
    datetime_start: datetime | None
    """In local time, as the next."""
    datetime_complete: datetime | None


def identity(configuration: Configuration, seed: int) -> dict[str, Any]:
    """Return the attributes that every trial has from its beginning."""
    return {"configuration": configuration.to_json(), "configuration_id": configuration.id, "seed": seed}


def costs(measurement: "Measurement") -> dict[str, Any]:
    """Return the attributes that say what a trial cost, and how large it is."""
    return {name: value for name in MEASURED if (value := getattr(measurement, name)) is not None}


def metrics(measurement: "Measurement") -> dict[str, float]:
    """Return the attributes that hold all validation metrics that are finite."""
    return {f"{_METRIC_PREFIX}{name}": value for name, value in measurement.metrics.items() if np.isfinite(value)}


def value_of(objective: Objective, measurement: "Measurement") -> float:
    """Return what a measurement says of an objective; NaN if it wasn't measured."""
    if objective.name in measurement.metrics:
        return measurement.metrics[objective.name]
    if objective == ADAPTER_BYTES:
        return float(adapter_bytes(measurement.trainable_parameters, measurement.head_parameters))
    value = getattr(measurement, objective.name, None)  # no attribute: a metric that is measured at the end alone
    return float("nan") if value is None else float(value)


def was_handed_out(trial: StoredTrial) -> bool:
    """Return whether a trial has begun, with all of `identity`; one whose `ask` was interrupted has not, and is in memory alone."""
    return trial.state in _STATES and "seed" in trial.user_attrs


def read_record(trial: StoredTrial, objectives: Sequence[Objective], configuration: Configuration) -> TrialRecord:
    """Return what a trial's attributes say, but for its confirmation, which is the study's."""
    attributes = trial.user_attrs
    names = [objective.name for objective in objectives]
    return TrialRecord(
        number=trial.number,
        state=_state(trial),
        configuration=configuration,
        seed=attributes["seed"],
        values=dict(zip(names, trial.values, strict=True)) if trial.values else {},
        metrics={key.removeprefix(_METRIC_PREFIX): value for key, value in attributes.items() if key.startswith(_METRIC_PREFIX)},
        trainable_parameters=attributes.get("trainable_parameters"),
        rungs=read_rungs(attributes),
        exceeds=tuple(name for name, excess in trial.constraints.items() if excess > 0),
        error=attributes.get("error", ""),
        is_extra=attributes.get(EXTRA, False),
        environment=attributes.get(ENVIRONMENT, {}),
        **recorded_costs(attributes),
    )


def read_rungs(user_attrs: Mapping[str, Any]) -> tuple[RungResult, ...]:
    """Return what a trial had come to at each rung, by its attributes."""
    return tuple(RungResult(**rung) for rung in user_attrs.get(RUNGS, ()))


def _state(trial: StoredTrial) -> State:
    rungs = trial.user_attrs.get(RUNGS, ())
    waits = trial.state == "RUNNING" and len(rungs) > trial.user_attrs.get(GOES_ON, 0)
    return "paused" if waits else _STATES[trial.state]
