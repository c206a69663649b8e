"""What a search's trials are to be compared with: one answer for all examples, and baselines tuned with the same budget a trial."""

from collections.abc import Mapping
from dataclasses import dataclass

from autopeft.errors import AutopeftError
from autopeft.objectives import Objective
from autopeft.report.retrained import RetrainedTable
from autopeft.study.directory import RunDirectory
from autopeft.study.reader import StudyReader
from autopeft.study.record import best, low_cost_front
from autopeft.study.retrained import BASELINES

TRIVIAL = "one answer for all"


@dataclass(frozen=True)
class Reference:
    """A value of the first objective on the validation data of a trial."""

    name: str
    value: float
    trainable_parameters: int | None = None
    """None: nothing is trained."""


def references(
    run: RunDirectory, trivial: Mapping[str, float], objective: Objective, full_budget: RetrainedTable | None, *, is_confirmed: bool
) -> tuple[Reference, ...]:
    """Return what is known to compare with, on validation data and with the budget of what stands on the front.

    Args:
        run: The run.
        trivial: By objective, what one answer for all reaches.
        objective: The first one.
        full_budget: What was retrained.
        is_confirmed: Whether the front is of trials at the full budget. Then baselines count as they were retrained, on average over seeds;
            else the best trial of each one's tuning does, which had the budget of a search's trial.
    """
    found = [Reference(TRIVIAL, trivial[objective.name])] if objective.name in trivial else []
    if not is_confirmed:
        return (*found, *_tuned(run, objective))
    if full_budget is not None:
        entries = [one for one in full_budget.entries if one.candidate.kind == "baseline" and objective.name in one.results[0].validation]
        found += [
            Reference(
                one.candidate.name,
                full_budget.estimate(one, "validation", objective.name).mean,
                one.results[0].trainable_parameters,
            )
            for one in entries
        ]
    return tuple(found)


def _tuned(run: RunDirectory, objective: Objective) -> list[Reference]:
    found = []
    for name, title in BASELINES.items():
        path = run.baselines_path / name
        if not (path / "study.db").is_file():
            continue
        try:
            study = StudyReader.open(RunDirectory.open(path))
        except AutopeftError:  # it is being made, or was cut: the search's own report must not fail of it
            continue
        good = low_cost_front(study.records(), study.objectives)
        if good and study.objectives[0] == objective:
            tuned = best(good, study.objectives)
            found.append(Reference(title, tuned.values[objective.name], tuned.trainable_parameters))
    return found
