"""Everything that a report says, gathered from a run's folder once; HTML, Markdown and JSON are three ways to write it."""

from dataclasses import asdict, dataclass
from typing import Any

from autopeft.report.costs import SearchCosts
from autopeft.report.expected import ExpectedFront
from autopeft.report.header import RunHeader
from autopeft.report.importance import Importances, importances_for
from autopeft.report.insertion import InsertionLayers
from autopeft.report.leaderboard import Leaderboard
from autopeft.report.learning_curves import LearningCurves
from autopeft.report.picture import Picture, draw
from autopeft.report.provenance import Provenance
from autopeft.report.retrained import RetrainedTable
from autopeft.study.directory import RunDirectory
from autopeft.study.record import TrialRecord, best, knee
from autopeft.study.retrained import RetrainedFolder
from autopeft.study.rows import finite
from autopeft.study.study import Study


@dataclass(frozen=True)
class Report:
    """A run, ready to be written down."""

    header: RunHeader
    leaderboard: Leaderboard
    expected: ExpectedFront
    picture: Picture | None
    """The front; None if no trial within the bounds has a result."""
    best: TrialRecord | None
    """Of the front, the best on the first objective."""
    knee: TrialRecord | None
    """Of the front, the farthest below the line between its ends."""
    retrained: RetrainedTable | None
    """What was retrained; None if nothing has a result yet."""
    transferred: tuple[RetrainedTable, ...]
    """The same on other tasks and backbones."""
    importances: tuple[Importances, ...]
    """One per objective."""
    layers: InsertionLayers
    learning_curves: LearningCurves
    costs: SearchCosts
    provenance: Provenance

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form of all of it.

        run: name, task, model, budget, parameters of backbone and head.
        objectives, best, knee, trials: the last as `autopeft show --format json`.
        expected: by trial mean and deviation of the first objective over seeds, and the numbers of the front by them.
        retrained, transferred: as retrained.json.
        importances, insertion_layers, learning_curves, costs, provenance: as the classes of these names.
        """
        return {
            "run": asdict(self.header),
            "objectives": [asdict(objective) for objective in self.leaderboard.objectives],
            "best": self.best and self.best.number,
            "knee": self.knee and self.knee.number,
            "trials": self.leaderboard.rows(),
            "expected": finite(self.expected.to_dict()),
            "retrained": self.retrained and self.retrained.to_dict(),
            "transferred": [table.to_dict() for table in self.transferred],
            "importances": [found.to_dict() for found in self.importances],
            "insertion_layers": self.layers.to_dict(),
            "learning_curves": self.learning_curves.to_dict(),
            "costs": finite(self.costs.to_dict()),
            "provenance": self.provenance.to_dict(),
        }


def gather(run: RunDirectory) -> Report:
    """Read a run, in whatever state it is.

    Raises:
        InvalidInputError: There is no study yet, or one of its files is damaged.
    """
    study, settings = Study.open(run), run.settings()
    records, objectives = study.records(), study.objectives
    leaderboard, header = Leaderboard.of(records, objectives), RunHeader.from_settings(settings, run.path.resolve().name)
    front = leaderboard.front
    expected = ExpectedFront.of(records, objectives, study.expectations(), header.n_validation)
    return Report(
        header=header,
        leaderboard=leaderboard,
        expected=expected,
        picture=draw(leaderboard, header, expected.interval) if front else None,
        best=best(front, objectives) if front else None,
        knee=knee(front, objectives) if front else None,
        retrained=_table(RetrainedFolder(run.retrained_path)),
        transferred=tuple(table for path in sorted(run.transferred_path.glob("*")) if (table := _table(RetrainedFolder(path)))),
        importances=tuple(importances_for(records, objective) for objective in objectives),
        layers=InsertionLayers.of(leaderboard, settings.get("n_layers")),
        learning_curves=LearningCurves.of(run, records, front),
        costs=SearchCosts.of(records, study.times()),
        provenance=Provenance.from_settings(settings),
    )


def _table(folder: RetrainedFolder) -> RetrainedTable | None:
    table = RetrainedTable.of(folder) if folder.settings() else None
    return table if table and table.entries else None
