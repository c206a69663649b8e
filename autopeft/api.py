"""The public Python interface: a search and what comes of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autopeft.errors import InvalidInputError
from autopeft.export.writing import export_trial
from autopeft.loops import search as engine
from autopeft.objectives import losses
from autopeft.pareto import knee
from autopeft.request import SearchRequest
from autopeft.study.directory import RunDirectory
from autopeft.study.record import TrialRecord, best, front
from autopeft.study.study import Study


class Silent:
    """Progress that nobody looks at."""

    def started(self, plan: engine.SearchPlan, run: RunDirectory, n_done: int) -> None:
        """Say nothing."""

    def trial_finished(self, record: TrialRecord, on_front: bool, n_done: int, n_trials: int) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class SearchResult:
    """A run on disk."""

    path: Path
    """The run's directory."""

    @property
    def trials(self) -> list[TrialRecord]:
        """All trials, in order."""
        return self._study().records()

    @property
    def front(self) -> list[TrialRecord]:
        """The trials within the bounds that no other dominates, in rising order of the last objective."""
        study = self._study()
        return front(study.records(), study.objectives)

    def best(self) -> TrialRecord:
        """Return the trial that is best on the first objective, the metric; of equals, on the second, and so on.

        Raises:
            InvalidInputError: No trial is complete and within the bounds.
        """
        return best(self._require_front(), self._study().objectives)

    def knee(self) -> TrialRecord:
        """Return the front's trial that gives up least of each objective.

        Raises:
            InvalidInputError: No trial is complete and within the bounds.
        """
        found = self._require_front()
        return found[knee(losses(self._study().objectives, [record.values for record in found]))]

    def export(self, trial: int, to: str, out: str | Path | None = None, *, lossy: bool = False) -> Path:
        """Export a trial; as `autopeft export`.

        Args:
            trial: Its number.
            to: A target, such as "peft", "merged" or "script".
            out: Folder to write; the run's exports/<trial>-<target> if not given.
            lossy: Go on where the target can't express all of the trial; LOST.md in the folder lists what is not in it.

        Raises:
            AutopeftError: There is no such trial or target, or the target can't express the configuration.
        """
        return export_trial(RunDirectory.open(self.path), trial, to, Path(out) if out is not None else None, lossy=lossy)

    def _study(self) -> Study:
        return Study.open(RunDirectory.open(self.path))

    def _require_front(self) -> list[TrialRecord]:
        found = self.front
        if not found:
            raise InvalidInputError("the run has no complete trial within its bounds", value=str(self.path))
        return found


def search(*, progress: engine.Progress | None = None, **settings: Any) -> SearchResult:
    """Search for configurations that trade a task's metric against what they cost.

    Args:
        progress: Is told of every trial.
        settings: Fields of `SearchRequest`, such as task="mrpc", trials=64; the same as the flags of `autopeft search`.

    Raises:
        AutopeftError: The input is wrong, something it names is unavailable, or every trial failed.
    """
    run = engine.search(SearchRequest(**settings), progress or Silent(), dict.fromkeys(settings, "argument"))
    return SearchResult(run.path)
