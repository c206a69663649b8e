"""Several runs of one task beside each other: what the best trial of each reaches, and whose trials make up the front of all.

Legend: the hypervolume of a run's front is over comparable losses (costs as logarithms), up to a reference point a tenth of the spread
beyond the worst trial on any of the fronts. It is given as a share of that of the front of all: 1 is a run that the others add nothing to.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autopeft.errors import InvalidInputError
from autopeft.objectives import Objective, comparable_losses
from autopeft.pareto import hypervolume, non_dominated
from autopeft.report.growth import BEYOND
from autopeft.report.header import RunHeader
from autopeft.study.directory import RunDirectory
from autopeft.study.reader import StudyReader
from autopeft.study.record import TrialRecord, best, front, spent


@dataclass(frozen=True)
class _Run:
    path: str
    header: RunHeader
    settings: dict[str, Any]
    records: tuple[TrialRecord, ...]
    objectives: tuple[Objective, ...]
    front: tuple[TrialRecord, ...]

    @classmethod
    def read(cls, run: RunDirectory) -> "_Run":
        study, settings = StudyReader.open(run), run.settings()
        records, objectives = study.records(), study.objectives
        header = RunHeader.from_settings(settings, run.path.resolve().name)
        return cls(str(run.path), header, settings, tuple(records), tuple(objectives), tuple(front(records, objectives)))

    def asked(self, setting: str) -> object:
        return self.settings.get("settings", {}).get(setting, {}).get("value")

    @property
    def measured_on(self) -> tuple[object, ...]:
        """What must be equal for scores to be comparable."""
        return self.header.task, self.header.n_validation, tuple(one.name for one in self.objectives), self.is_confirmed

    @property
    def is_confirmed(self) -> bool:
        return any(record.confirmed for record in self.front)

    @property
    def measured_in_words(self) -> str:
        names = " and ".join(one.name for one in self.objectives)
        budget = "at the full budget" if self.is_confirmed else "at low cost"
        return f"{names} {budget} on {self.header.n_validation} validation examples of {self.header.task}"


def compare_runs(runs: Sequence[RunDirectory]) -> list[dict[str, Any]]:
    """Return one row per run: what it searched, its best trial, its front's size, share of the front of all, and hypervolume.

    Raises:
        InvalidInputError: A run has no trial on its front, or its scores can't be compared with those of the first: it has another task,
            other objectives, another number of validation examples, or confirmed its front where the other didn't.
    """
    found = [_Run.read(run) for run in runs]
    for one in found:
        if not one.front:
            raise InvalidInputError("a run to compare must have a complete trial within its bounds", value=one.path)
        if one.measured_on != found[0].measured_on:
            raise InvalidInputError(
                f"runs that are compared must have measured the same: that of {found[0].path} is {found[0].measured_in_words}",
                value=f"{one.path}: {one.measured_in_words}",
                remedy="Search with the same task, objectives and budget, or retrain the trials that you want to compare.",
            )
    points = comparable_losses(found[0].objectives, [record.values for one in found for record in one.front])
    volumes, n_joint = _shares(np.split(points, np.cumsum([len(one.front) for one in found])[:-1]))
    return [_row(one, volume, n) for one, volume, n in zip(found, volumes, n_joint, strict=True)]


def _shares(fronts: Sequence[NDArray[np.float64]]) -> tuple[list[float], list[int]]:
    """Return each front's share of the hypervolume of all, and how many of its points no other front's dominates."""
    points = np.concatenate(fronts)
    spread = np.ptp(points, axis=0)
    reference = points.max(axis=0) + BEYOND * np.where(spread > 0, spread, 1.0)
    whole = hypervolume(points, reference)
    on_joint = np.split(non_dominated(points), np.cumsum([len(one) for one in fronts])[:-1])
    return [hypervolume(one, reference) / whole for one in fronts], [int(part.sum()) for part in on_joint]


def _row(run: _Run, volume: float, n_joint: int) -> dict[str, Any]:
    chosen = best(run.front, run.objectives)
    return {
        "run": run.path,
        "model": run.header.model,
        "space": run.asked("space"),
        "sampler": run.asked("sampler"),
        "trials": sum(record.is_over for record in run.records),
        "best_trial": chosen.number,
        **{one.name: chosen.values[one.name] for one in run.objectives},
        "configuration": chosen.configuration.describe(),
        "on_front": len(run.front),
        "on_front_of_all": n_joint,
        "hypervolume": volume,
        "seconds": spent(run.records).seconds or 0.0,
    }
