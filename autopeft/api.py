"""The public Python interface: a search and what comes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from autopeft.errors import UnknownNameError
from autopeft.export.writing import export_trial
from autopeft.loops import retrain as retraining
from autopeft.loops import search as engine
from autopeft.loops.baselines import tune
from autopeft.loops.retrain import RetrainRequest
from autopeft.loops.selection import choose
from autopeft.report.content import gather
from autopeft.report.files import plot_run
from autopeft.report.retrained import RetrainedTable, summarise
from autopeft.report.writing import write
from autopeft.request import SearchRequest
from autopeft.study.directory import RunDirectory
from autopeft.study.record import Expectation, TrialRecord, front
from autopeft.study.retrained import Candidate, SeedResult
from autopeft.study.study import Study

Request = TypeVar("Request", SearchRequest, RetrainRequest)


class SilentSearch:
    """A search's progress that nobody looks at."""

    def started(self, plan: engine.SearchPlan, run: RunDirectory, n_done: int) -> None:
        """Say nothing."""

    def trial_finished(self, record: TrialRecord, on_front: bool, n_done: int, n_trials: int) -> None:
        """Say nothing."""


class Silent:
    """A retraining's progress that nobody looks at."""

    def started(self, plan: retraining.RetrainPlan, n_done: int, n_total: int) -> None:
        """Say nothing."""

    def seed_finished(self, candidate: Candidate, seed: int, outcome: SeedResult | str, n_done: int, n_total: int) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class SearchResult:
    """A run on disk.

    Args:
        path: The run's directory.
    """

    path: Path
    """The run's directory."""

    def __init__(self, path: str | Path) -> None:
        object.__setattr__(self, "path", Path(path))

    @property
    def trials(self) -> list[TrialRecord]:
        """All trials, in order."""
        return self._study().records()

    @property
    def front(self) -> list[TrialRecord]:
        """The trials within the bounds that no other dominates, in rising order of the last objective."""
        study = self._study()
        return front(study.records(), study.objectives)

    @property
    def expected(self) -> dict[int, Expectation]:
        """What trials would measure on average over seeds, by number, by a surrogate of all of them when the search ended.

        Empty if fewer than 16 trials were complete, or the first objective follows from the configuration.
        """
        return self._study().expectations()

    def best(self) -> TrialRecord:
        """Return the trial that is best on the first objective, the metric; of equals, on the second, and so on.

        Raises:
            InvalidInputError: No trial is complete and within the bounds.
        """
        return choose(RunDirectory.open(self.path), wish="best")[0]

    def knee(self) -> TrialRecord:
        """Return the front's trial that gives up least of each objective.

        Raises:
            InvalidInputError: No trial is complete and within the bounds.
        """
        return choose(RunDirectory.open(self.path), wish="knee")[0]

    def retrain(
        self,
        trials: Sequence[int] = (),
        *,
        pick: str | None = None,
        front: bool = False,
        progress: retraining.Progress | None = None,
        **settings: Any,
    ) -> RetrainedTable:
        """Train trials at the full budget and measure them on test data; as `autopeft retrain`.

        Args:
            trials: Their numbers.
            pick: Or a wish: "best", "knee" or "max-params=0.5%".
            front: Or the whole front.
            progress: Hears of every training.
            settings: Fields of `RetrainRequest`, such as seeds=3, epochs=4, task="stsb".

        Returns:
            All that was retrained on this task and backbone, now or earlier.

        Raises:
            UnknownNameError: There is no such setting.
            AutopeftError: There is no such trial, something is unavailable, or every training failed.
        """
        run, request = RunDirectory.open(self.path), _request(RetrainRequest, settings)
        candidates = retraining.of_trials(choose(run, trials, pick, whole_front=front))
        return summarise(retraining.retrain(run, candidates, request, progress or Silent()))

    def baselines(
        self,
        *,
        methods: Sequence[str] | None = None,
        trials_per_method: int | None = None,
        progress: retraining.Progress | None = None,
        **settings: Any,
    ) -> RetrainedTable:
        """Tune single methods, retrain the best of each, and compare; as `autopeft baselines`.

        Args:
            methods: Which of them, such as ["lora", "full_fine_tuning"]; all six if not given.
            trials_per_method: Trials that tune each; a sixth of the search's if not given.
            progress: Hears of every retraining.
            settings: Fields of `RetrainRequest`, such as seeds=3, workers=2.

        Raises:
            UnknownNameError: There is no such setting.
            AutopeftError: There is no such baseline, something is unavailable, or every trial of a baseline failed.
        """
        run, request = RunDirectory.open(self.path), _request(RetrainRequest, settings)
        tuned = tune(run, lambda _: SilentSearch(), methods=methods, trials=trials_per_method, workers=request.workers)
        return summarise(retraining.retrain(run, tuned.candidates, request, progress or Silent()))

    def export(self, trial: int, to: str, out: str | Path | None = None, *, lossy: bool = False, retrained: bool = False) -> Path:
        """Export a trial; as `autopeft export`.

        Args:
            trial: Its number.
            to: A target, such as "peft", "merged" or "script".
            out: Folder to write; the run's exports/<trial>-<target> if not given.
            retrained: Take what `retrain` trained, the best seed, and not what the search did.
            lossy: Go on where the target can't express all of the trial; LOST.md in the folder lists what is not in it.

        Raises:
            AutopeftError: There is no such trial or target, or the target can't express the configuration.
        """
        return export_trial(
            RunDirectory.open(self.path), trial, to, Path(out) if out is not None else None, lossy=lossy, retrained=retrained
        )

    def plot(self, out: str | Path | None = None, formats: Sequence[str] = ("html", "png", "svg")) -> list[Path]:
        """Plot the front; as `autopeft plot`. Returns the paths of the files written, into the run's report folder if none is given.

        Raises:
            AutopeftError: There is no such format, or no trial to draw.
        """
        return plot_run(RunDirectory.open(self.path), Path(out) if out is not None else None, formats)

    def report(self, out: str | Path | None = None, formats: Sequence[str] = ("html",)) -> list[Path]:
        """Write all that was found, for someone who wasn't there; as `autopeft report`, of the formats html, md and json.

        Raises:
            UnknownNameError: There is no such format.
        """
        run = RunDirectory.open(self.path)
        return write(gather(run), Path(out) if out is not None else run.report_path, formats)

    def _study(self) -> Study:
        return Study.open(RunDirectory.open(self.path))


def search(*, progress: engine.Progress | None = None, **settings: Any) -> SearchResult:
    """Search for configurations that trade a task's metric against what they cost.

    Args:
        progress: Hears of every trial.
        settings: Fields of `SearchRequest`, such as task="mrpc", trials=64; the same as the flags of `autopeft search`.

    Raises:
        UnknownNameError: There is no such setting.
        AutopeftError: The input is wrong, something it names is unavailable, or every trial failed.
    """
    run = engine.search(_request(SearchRequest, settings), progress or SilentSearch(), dict.fromkeys(settings, "argument"))
    return SearchResult(run.path)


def resume(path: str | Path, *, trials: int | None = None, progress: engine.Progress | None = None) -> SearchResult:
    """Go on with a search that was stopped, as if it never had been; as `autopeft search --resume`.

    Args:
        path: The run's directory.
        trials: A new total; the one that was asked for if not given.
        progress: Hears of every trial.

    Raises:
        AutopeftError: There is no run, another process drives it, or what it names is gone.
    """
    return SearchResult(engine.resume(Path(path), progress or SilentSearch(), trials).path)


def _request(kind: type[Request], settings: Mapping[str, Any]) -> Request:
    known = [entry.name for entry in fields(kind)]
    if unknown := [name for name in settings if name not in known]:
        raise UnknownNameError("setting", unknown[0], known)
    return kind(**settings)
