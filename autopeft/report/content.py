"""Everything that a report says, gathered from a run's folder once; HTML, Markdown and JSON are three ways to write it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from autopeft.report.costs import SearchCosts
from autopeft.report.expected import ExpectedFront
from autopeft.report.growth import FrontGrowth
from autopeft.report.header import RunHeader
from autopeft.report.importance import Importances, importances_for
from autopeft.report.insertion import InsertionLayers
from autopeft.report.leaderboard import Leaderboard
from autopeft.report.learning_curves import LearningCurves
from autopeft.report.picture import Picture, draw
from autopeft.report.provenance import Provenance
from autopeft.report.recommendation import Recommendation, recommend
from autopeft.report.references import Reference, references
from autopeft.report.retrained import RetrainedTable
from autopeft.report.status import SearchStatus
from autopeft.study.details import read_details
from autopeft.study.directory import RunDirectory
from autopeft.study.lock import driver
from autopeft.study.reader import StudyReader
from autopeft.study.record import TrialRecord, best, knee
from autopeft.study.retrained import RetrainedFolder, searched_metric
from autopeft.study.rows import finite
from autopeft.tasks.details import Detail

MAX_PAGES = 300
"""Trials that have a page of their own: the front, then the others by rank."""


@dataclass(frozen=True)
class Report:
    """A run, ready to be written down."""

    run: Path
    """The run's folder, as it was given."""
    header: RunHeader
    status: SearchStatus
    leaderboard: Leaderboard
    expected: ExpectedFront
    picture: Picture | None
    """The front; None if no trial within the bounds has a result."""
    references: tuple[Reference, ...]
    """What the trials are to be compared with."""
    recommendation: Recommendation | None
    """Which trial to take; None without a front."""
    growth: FrontGrowth
    best: TrialRecord | None
    """Of the front, the best on the first objective."""
    knee: TrialRecord | None
    """Of the front, the farthest below the line between its ends."""
    retrained: RetrainedTable | None
    """What was retrained; None if nothing has a result yet."""
    transferred: tuple[RetrainedTable, ...]
    """The same on other tasks and backbones."""
    importances: tuple[Importances, ...]
    """One per objective that is measured: what follows from a configuration needs no estimate."""
    layers: InsertionLayers
    learning_curves: LearningCurves
    details: Mapping[int, tuple[Detail, ...]]
    """By trial that has a page, scores per class and the like on validation data, of a confirmed one at the full budget."""
    test_details: Mapping[int, tuple[Detail, ...]]
    """The same of what was retrained on the search's own task: by trial, of its best seed on test data."""
    costs: SearchCosts
    provenance: Provenance

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form of all of it.

        run: name, task, model, budget, parameters of backbone and head.
        objectives, best, knee, trials: the last as `autopeft show --format json`.
        expected: by trial mean and deviation of the first objective over seeds, and the numbers of the front by them.
        retrained, transferred: as retrained.json.
        details, test_details: by trial what people look at beyond metrics, on validation data and, retrained, on test data.
        status, recommendation, references, growth, importances, insertion_layers, learning_curves, costs, provenance: as the classes of
            these names.
        """
        return {
            "run": asdict(self.header),
            "status": finite(self.status.to_dict()),
            "recommendation": self.recommendation and asdict(self.recommendation),
            "references": [asdict(one) for one in self.references],
            "objectives": [asdict(objective) for objective in self.leaderboard.objectives],
            "best": self.best and self.best.number,
            "knee": self.knee and self.knee.number,
            "trials": self.leaderboard.rows(),
            "expected": finite(self.expected.to_dict()),
            "retrained": self.retrained and self.retrained.to_dict(),
            "transferred": [table.to_dict() for table in self.transferred],
            "importances": [found.to_dict() for found in self.importances],
            "insertion_layers": self.layers.to_dict(),
            "growth": finite(self.growth.to_dict()),
            "learning_curves": self.learning_curves.to_dict(),
            "details": _details_to_dict(self.details),
            "test_details": _details_to_dict(self.test_details),
            "costs": finite(self.costs.to_dict()),
            "provenance": self.provenance.to_dict(),
        }


def gather(run: RunDirectory) -> Report:
    """Read a run, in whatever state it is.

    Raises:
        InvalidInputError: There is no study yet, or one of its files is damaged.
    """
    study, settings = StudyReader.open(run), run.settings()
    records, objectives = study.records(), study.objectives
    leaderboard, header = Leaderboard.of(records, objectives), RunHeader.from_settings(settings, run.path.resolve().name)
    front = leaderboard.front
    expected = ExpectedFront.of(records, objectives, study.expectations(), header.n_validation)
    times = study.times()
    costs = SearchCosts.of(records, times)
    retrained = _table(RetrainedFolder(run.retrained_path))
    compared = references(
        run, header.trivial(is_confirmed=leaderboard.is_confirmed), objectives[0], retrained, is_confirmed=leaderboard.is_confirmed
    )
    # At the full budget all validation examples are measured on.
    n_rows = (settings.get("examples") or {}).get("validation") if leaderboard.is_confirmed else header.n_validation
    shown = [record.number for record in (*leaderboard.running, *leaderboard.records)[:MAX_PAGES]]
    found = {number: read_details(run.confirmed_path(number)) or read_details(run.trial_path(number)) for number in dict.fromkeys(shown)}
    return Report(
        run=run.path,
        header=header,
        status=SearchStatus.of(settings, records, study.begun(), costs, driver(run), datetime.now()),
        leaderboard=leaderboard,
        expected=expected,
        picture=draw(leaderboard, header, expected.interval, compared) if front else None,
        references=compared,
        recommendation=recommend(front, objectives, expected, n_rows, compared, retrained),
        growth=FrontGrowth.of(records, objectives, times),
        best=best(front, objectives) if front else None,
        knee=knee(front, objectives) if front else None,
        retrained=retrained,
        transferred=tuple(table for path in sorted(run.transferred_path.glob("*")) if (table := _table(RetrainedFolder(path)))),
        importances=tuple(importances_for(records, objective) for objective in objectives if not objective.known),
        layers=InsertionLayers.of(leaderboard, settings.get("n_layers")),
        learning_curves=LearningCurves.of(run, records, front),
        details=found,
        test_details=_test_details(RetrainedFolder(run.retrained_path), retrained),
        costs=costs,
        provenance=Provenance.from_settings(settings),
    )


def _table(folder: RetrainedFolder) -> RetrainedTable | None:
    table = RetrainedTable.of(folder) if folder.settings() else None
    return table if table and table.entries else None


def _test_details(folder: RetrainedFolder, table: RetrainedTable | None) -> dict[int, tuple[Detail, ...]]:
    if table is None:
        return {}
    metric = searched_metric(table.settings)
    trials = [entry for entry in table.entries if entry.candidate.kind == "trial"]
    return {entry.candidate.trial: read_details(folder.seed_path(entry.candidate.id, entry.best_seed(metric))) for entry in trials}


def _details_to_dict(found: Mapping[int, tuple[Detail, ...]]) -> dict[str, Any]:
    return {str(trial): [one.to_dict() for one in some] for trial, some in found.items() if some}
