"""What comes of a search, read from its folder, and all that can be done with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Never

from autopeft.api.arguments import make_request
from autopeft.api.progress import SilentSearch, training_progress
from autopeft.configuration import Configuration
from autopeft.errors import AutopeftError
from autopeft.export.finished_trial import read_retrained, read_trial
from autopeft.export.writing import export_trial
from autopeft.loops import retrain as retraining
from autopeft.loops.baselines import tune_and_retrain
from autopeft.loops.retrain import RetrainRequest
from autopeft.loops.selection import choose
from autopeft.paths import StrPath
from autopeft.report.comparison import compare_runs
from autopeft.report.content import gather
from autopeft.report.files import plot_run
from autopeft.report.header import RunHeader
from autopeft.report.leaderboard import Leaderboard
from autopeft.report.notebook import as_html
from autopeft.report.picture import draw
from autopeft.report.retrained import RetrainedTable, summarise
from autopeft.report.training_progress import RetrainProgress, TuningProgress
from autopeft.report.writing import write
from autopeft.study.directory import RunDirectory
from autopeft.study.reader import StudyReader
from autopeft.study.record import Expectation, TrialRecord, front

if TYPE_CHECKING:
    import pandas
    import plotly

    from autopeft.export.predictor import Predictor


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

    def _repr_html_(self) -> str | None:
        """Return what a notebook shows; None, so that it shows the path, before there is a trial."""
        try:
            return as_html(RunDirectory.open(self.path))
        except AutopeftError:
            return None

    @property
    def trials(self) -> list[TrialRecord]:
        """All trials, in order."""
        return self._study().records()

    @property
    def front(self) -> list[TrialRecord]:
        """The trials within the bounds that no other dominates, in rising order of the last objective.

        Where trials were confirmed these are confirmed ones, with what they measured at the full budget.
        """
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
        seeds: int = 5,
        epochs: int | None = None,
        workers: int | None = None,
        address: str | None = None,
        device: str | None = None,
        task: str | None = None,
        data_dir: StrPath | None = None,
        model: StrPath | None = None,
        trust_remote_code: bool = False,
        progress: bool | retraining.Progress = True,
        **unknown: Never,
    ) -> RetrainedTable:
        """Train trials with all data over several seeds and measure them on test data; as `autopeft retrain`.

        Args:
            trials: Their numbers.
            pick: Or a wish: "best", "knee" or "max-params=0.5%".
            front: Or the whole front.
            seeds: How often each is trained: with the seeds 0, 1, 2, ...
            epochs: Passes over all training examples.
            workers: Worker processes; 0 trains in this process; None: as in the search.
            address: Address of a Ray cluster.
            device: What to train on; None: as in the search.
            task: Another task to train on.
            data_dir: Where the other task's data is.
            model: Another backbone to train on, a hub id or a folder.
            trust_remote_code: Let Python code run that the other backbone brings along.
            progress: Whether to print how it goes, on standard error; or what hears of every training.
            unknown: There are no other settings; a misspelled one is an error that names the nearest.

        Returns:
            All that was trained on this task and backbone, now or earlier.

        Raises:
            UnknownNameError: There is no such setting.
            AutopeftError: There is no such trial, something is unavailable, or every training failed.
        """
        run, request = RunDirectory.open(self.path), make_request(RetrainRequest, locals())
        candidates = retraining.of_trials(choose(run, trials, pick, whole_front=front))
        with training_progress(progress) as listener:
            return summarise(retraining.retrain(run, candidates, request, listener))

    def baselines(
        self,
        *,
        methods: Sequence[str] | None = None,
        trials_per_method: int | None = None,
        seeds: int = 5,
        epochs: int | None = None,
        workers: int | None = None,
        progress: bool | retraining.Progress = True,
        **unknown: Never,
    ) -> RetrainedTable:
        """Tune single methods, train the best of each with all data, and compare; as `autopeft baselines`.

        Args:
            methods: Which of them, such as ["lora", "full_fine_tuning"]; all if not given.
            trials_per_method: Low-cost trials that tune each; an equal part of the search's if not given.
            seeds: How often the best of each is trained with all data.
            epochs: Passes over all training examples.
            workers: Worker processes; 0 trains in this process; None: as in the search.
            progress: Whether to print how it goes, on standard error; or what hears of every training with all data.
            unknown: As in `retrain`.

        Raises:
            UnknownNameError: There is no such setting.
            UnsupportedError: The backbone takes none of the methods.
            AutopeftError: There is no such baseline, something is unavailable, or every trial of a baseline failed.
        """
        run, request = RunDirectory.open(self.path), make_request(RetrainRequest, locals())
        with training_progress(progress) as listener:
            line = listener.line if isinstance(listener, RetrainProgress) else None
            folder = tune_and_retrain(
                run,
                request,
                lambda name: SilentSearch() if line is None else TuningProgress(name, line),
                listener,
                line or (lambda text: None),
                methods=methods,
                trials=trials_per_method,
            )
            return summarise(folder)

    def export(
        self,
        trial: int | str,
        to: str,
        out: str | Path | None = None,
        *,
        lossy: bool = False,
        retrained: bool = False,
        onto: str | None = None,
    ) -> Path:
        """Export a trial; as `autopeft export`.

        Args:
            trial: Its number, or a wish: "best", "knee" or "max-params=0.5%".
            to: A target, such as "peft", "merged" or "script".
            out: Folder to write; the run's exports/<trial>-<target> if not given.
            retrained: Take what `retrain` trained, the best seed, and not what the search did.
            lossy: Go on where the target can't express all of the trial; LOST.md in the folder lists what is not in it.
            onto: Which weights of a quantised backbone to merge into, "dequantised" or "original".

        Raises:
            AutopeftError: There is no such trial or target, or the target can't express the configuration.
        """
        run = RunDirectory.open(self.path)
        number = choose(run, wish=trial)[0].number if isinstance(trial, str) else trial
        return export_trial(run, number, to, Path(out) if out is not None else None, lossy=lossy, retrained=retrained, onto=onto)

    def predictor(self, trial: int | str = "best", *, retrained: bool = False) -> "Predictor":
        """Load a trial's model for use on new examples; as `autopeft predict`.

        Args:
            trial: Its number, or a wish: "best", "knee" or "max-params=0.5%".
            retrained: Take what `retrain` trained, the best seed, and not what the search did.

        Raises:
            AutopeftError: There is no such trial, or the backbone can't be loaded.
        """
        from autopeft.export.predictor import predictor_of  # it needs torch, which whoever only reads results must not wait for

        run = RunDirectory.open(self.path)
        number = choose(run, wish=trial)[0].number if isinstance(trial, str) else trial
        return predictor_of(read_retrained(run, number) if retrained else read_trial(run, number))

    def to_pandas(self) -> "pandas.DataFrame":
        """Return the trials as a data frame, the front first: number, state, metrics, costs, configuration.

        What a confirmed trial came to at the full budget is in columns that begin with `full_`, such as `full_accuracy`.
        """
        import pandas

        study = self._study()
        rows = Leaderboard.of(study.records(), study.objectives).rows()
        for row in rows:
            row["configuration"] = Configuration.from_dict(row["configuration"]).describe()
            row |= {f"full_{name}": value for name, value in row.pop("full_budget", {}).items()}
        return pandas.DataFrame(rows)

    def compare(self, *others: "SearchResult | StrPath") -> "pandas.DataFrame":
        """Return this run and others of the same task beside each other, a row each, in the order given.

        A row says what was searched (`run`, `model`, `space`, `sampler`, finished `trials`, `seconds` of training), the best trial
        (`best_trial`, its objectives and `configuration`), how many trials are `on_front` and of these `on_front_of_all`, that no trial of
        another run dominates, and the `hypervolume` of the front, as a share of that of the front of all runs.

        Args:
            others: Other results, or folders of runs.

        Raises:
            InvalidInputError: One has no trial on its front, or measured something else: another task, other objectives, another number of
                validation examples, or its front at low cost where the other's is confirmed.
        """
        import pandas

        paths = [self.path, *(one.path if isinstance(one, SearchResult) else Path(one) for one in others)]
        return pandas.DataFrame(compare_runs([RunDirectory.open(path) for path in paths]))

    def figure(self) -> "plotly.graph_objects.Figure":
        """Return the plot of the front as a figure of plotly's, which a notebook shows as it is.

        Raises:
            InvalidInputError: No trial within the bounds has a result to draw.
        """
        from autopeft.report.page import make_figure

        run, study = RunDirectory.open(self.path), self._study()
        header = RunHeader.from_settings(run.settings(), run.path.resolve().name)
        return make_figure(draw(Leaderboard.of(study.records(), study.objectives), header))

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

    def _study(self) -> StudyReader:
        return StudyReader.open(RunDirectory.open(self.path))
