"""Everything that a report says, gathered from a run's folder once; HTML, Markdown and JSON are three ways to write it."""

from dataclasses import asdict, dataclass
from typing import Any

from autopeft.report.costs import SearchCosts
from autopeft.report.course import Course
from autopeft.report.expected import ExpectedFront
from autopeft.report.header import RunHeader
from autopeft.report.influence import Influences, influences
from autopeft.report.insertion import InsertionLayers
from autopeft.report.leaderboard import Leaderboard
from autopeft.report.origin import Origin
from autopeft.report.picture import Picture, draw
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
    influences: tuple[Influences, ...]
    """One per objective."""
    layers: InsertionLayers
    course: Course
    costs: SearchCosts
    origin: Origin

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form of all of it.

        run: name, task, model, budget, parameters of backbone and head.
        objectives, best, knee, trials: the last as `autopeft show --format json`.
        expected: by trial mean and deviation of the first objective over seeds, and the numbers of the front by them.
        retrained, transferred: as retrained.json.
        influences, insertion_layers, course, costs, origin: as the classes of these names.
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
            "influences": [found.to_dict() for found in self.influences],
            "insertion_layers": self.layers.to_dict(),
            "course": self.course.to_dict(),
            "costs": finite(self.costs.to_dict()),
            "origin": self.origin.to_dict(),
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
        influences=tuple(influences(records, objective) for objective in objectives),
        layers=InsertionLayers.of(leaderboard, settings.get("n_layers")),
        course=Course.of(run, records, front),
        costs=SearchCosts.of(records, study.times()),
        origin=Origin.from_settings(settings),
    )


def _table(folder: RetrainedFolder) -> RetrainedTable | None:
    table = RetrainedTable.of(folder) if folder.settings() else None
    return table if table and table.entries else None
