"""The public Python interface: a search and what comes of it."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Never, TypeVar

from autopeft.configuration import Configuration
from autopeft.errors import AutopeftError, UnknownNameError
from autopeft.export.finished_trial import read_retrained, read_trial
from autopeft.export.writing import export_trial
from autopeft.loops import retrain as retraining
from autopeft.loops import search as engine
from autopeft.loops.baselines import tune
from autopeft.loops.planning import SearchPlan
from autopeft.loops.retrain import RetrainRequest
from autopeft.loops.selection import choose
from autopeft.paths import StrPath
from autopeft.report.content import gather
from autopeft.report.files import plot_run
from autopeft.report.header import RunHeader
from autopeft.report.leaderboard import Leaderboard
from autopeft.report.notebook import as_html
from autopeft.report.picture import draw
from autopeft.report.progress import ConsoleProgress
from autopeft.report.retrained import RetrainedTable, summarise
from autopeft.report.training_progress import RetrainProgress, TuningProgress
from autopeft.report.writing import write
from autopeft.request import CHANGEABLE, PORTFOLIO, SearchRequest
from autopeft.study.directory import RunDirectory
from autopeft.study.record import Expectation, TrialRecord, front
from autopeft.study.retrained import Candidate, SeedResult
from autopeft.study.study import Study
from autopeft.tasks.sources import DATA_VARIABLE
from autopeft.trackers.callback import Callback

if TYPE_CHECKING:
    import pandas
    import plotly

    from autopeft.export.predictor import Predictor

Request = TypeVar("Request", SearchRequest, RetrainRequest)


class SilentSearch:
    """A search's progress that nobody looks at."""

    def started(self, plan: SearchPlan, run: RunDirectory, n_done: int) -> None:
        """Say nothing."""

    def trial_finished(self, record: TrialRecord, on_front: bool, n_done: int, n_trials: int) -> None:
        """Say nothing."""

    def trial_confirmed(self, record: TrialRecord, on_front: bool, n_done: int, n_total: int) -> None:
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
        run, request = RunDirectory.open(self.path), _request(RetrainRequest, locals())
        candidates = retraining.of_trials(choose(run, trials, pick, whole_front=front))
        with _training_progress(progress) as listener:
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
            methods: Which of them, such as ["lora", "full_fine_tuning"]; all six if not given.
            trials_per_method: Trials that tune each; a sixth of the search's if not given.
            seeds: How often the best of each is trained with all data.
            epochs: Passes over all training examples.
            workers: Worker processes; 0 trains in this process; None: as in the search.
            progress: Whether to print how it goes, on standard error; or what hears of every training with all data.
            unknown: As in `retrain`.

        Raises:
            UnknownNameError: There is no such setting.
            AutopeftError: There is no such baseline, something is unavailable, or every trial of a baseline failed.
        """
        run, request = RunDirectory.open(self.path), _request(RetrainRequest, locals())
        with _training_progress(progress) as listener:
            line = listener.line if isinstance(listener, RetrainProgress) else None
            tuned = tune(
                run,
                lambda name: SilentSearch() if line is None else TuningProgress(name, line),
                methods=methods,
                trials=trials_per_method,
                workers=request.workers,
            )
            return summarise(retraining.retrain(run, tuned.candidates, request, listener))

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
        """Return the trials as a data frame, the front first: number, state, metrics, costs, configuration."""
        import pandas

        study = self._study()
        rows = Leaderboard.of(study.records(), study.objectives).rows()
        return pandas.DataFrame([row | {"configuration": Configuration.from_dict(row["configuration"]).describe()} for row in rows])

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

    def _study(self) -> Study:
        return Study.open(RunDirectory.open(self.path))


def search(
    *,
    task: str | None = None,
    train: StrPath | None = None,
    validation: StrPath | None = None,
    test: StrPath | None = None,
    dataset: str | None = None,
    splits: str | Sequence[str] = (),
    kind: str | None = None,
    text: str | Sequence[str] = (),
    label: str | None = None,
    model: StrPath | None = None,
    trust_remote_code: bool = False,
    quantize: str = "none",
    dtype: str = "auto",
    attention: str = "auto",
    gradient_checkpointing: str = "auto",
    data_dir: StrPath | None = None,
    space: StrPath = "default",
    plugins: StrPath | Sequence[StrPath] = (),
    trials: int = 64,
    workers: int | None = None,
    address: str | None = None,
    device: str = "auto",
    gpus_per_trial: float | None = None,
    trials_per_gpu: str | int | None = None,
    objectives: str | Sequence[str] = (),
    max_params: str | int | None = None,
    max_adapter_bytes: str | int | None = None,
    max_train_seconds: float | None = None,
    max_memory: str | int | None = None,
    start: str | Sequence[str] = (PORTFOLIO,),
    warm_start: StrPath | Sequence[StrPath] = (),
    cache_bytes: str | int = "1G",
    pack: str | int = "auto",
    sampler: str = "autopeft",
    seed: int = 0,
    out: StrPath | None = None,
    time_limit: float | None = None,
    trial_timeout: float | None = None,
    max_failed: float = 0.5,
    rungs: Sequence[float] = (),
    reduction: float = 3.0,
    confirm: int | None = None,
    train_examples: int | None = None,
    evaluation_examples: int | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    batch_tokens: int | None = None,
    max_length: int | None = None,
    track: str | Sequence[str] = (),
    callbacks: Sequence[Callback] = (),
    offline: bool = False,
    progress: bool | engine.Progress = True,
    **unknown: Never,
) -> SearchResult:
    """Search for configurations that trade a task's metric against what they cost; as `autopeft search`.

    Args:
        task: A task by name, such as "mrpc"; or own files, or a data set of the hub:
        train: File of training examples: CSV, TSV, JSON, JSON Lines, Parquet or CoNLL, or a folder with a folder a class.
        validation: File of validation examples; cut from the training examples if not given.
        test: File of test examples, kept for the end; cut from the training examples if not given. A search selects nothing by them.
        dataset: A data set of the hub: "owner/name", or "owner/name:configuration".
        splits: Which of its splits serve as what where names aren't the usual ones, such as "validation=dev".
        kind: What kind of task own data are, such as "causal_lm"; inferred from columns and labels if not given.
        text: Column of own data to read, or several; those of usual names if not given.
        label: Column of own data to predict; one of a usual name if not given.
        model: A hub id or a folder; None: all-MiniLM-L6-v2.
        trust_remote_code: Let Python code run that the model brings along, with all your rights.
        quantize: Keep the model's frozen linears in few bits: "nf4" or "int8" by bitsandbytes, "torchao-int8" by torchao; or "none".
        dtype: Precision of frozen weights: "float32", "bfloat16", "float16", or "auto": bfloat16 on a GPU that has it, else float32.
        attention: Attention function: "eager", "sdpa", "flash_attention_2", or "auto": sdpa where the model takes it.
        gradient_checkpointing: Compute layers twice to save memory: "on", "off", or "auto": where memory runs out.
        data_dir: A folder with one sub-folder of files a task; None: the one that AUTOPEFT_DATA names.
        space: A search space by name, or a YAML file.
        plugins: Own Python files that register methods or tasks.
        trials: Number of trials.
        workers: Worker processes; 0 runs trials in this process; None: as many as cores that may be used.
        address: Address of a Ray cluster.
        device: "cpu", "cuda" (also ROCm), "cuda:1" (of this machine, that one alone), "mps", or "auto": "cuda" where there is one.
        gpus_per_trial: How much of a GPU a trial takes, such as 0.25; a whole one if not given.
        trials_per_gpu: The same the other way round: how many trials share a GPU, or "auto": as its memory allows.
        objectives: Two to four of the task's metrics and of trainable_parameters, adapter_bytes, train_seconds, peak_bytes and
            latency_seconds; none: the task's metric and trainable_parameters.
        max_params: Most trainable parameters: a number, or a percentage of the model's such as "0.5%".
        max_adapter_bytes: Most bytes of a saved adapter's tensors, such as "2M".
        max_train_seconds: Most seconds of training steps; a trial that takes more is infeasible.
        max_memory: Most bytes in use at once, such as "8G"; a trial that takes more is infeasible.
        start: What to try first: "portfolio", "none", or presets.
        warm_start: Earlier runs whose fronts are tried first.
        cache_bytes: Memory in which each worker may keep hidden states below the modules; 0: none.
        pack: Trials at once in a worker, over one copy of the model: a number, or "auto": on a GPU as many as fit, else one.
        sampler: What proposes configurations; see `autopeft list samplers`.
        seed: Seeds proposals and trials.
        out: The run's folder; None: runs/<task>.
        time_limit: Minutes after which no new trial starts.
        trial_timeout: Seconds after which a worker gives a trial up.
        max_failed: Share of the trials that may fail.
        rungs: Shares of a trial's budget at which only the best go on, such as (0.17, 0.5); none: all do.
        reduction: One trial in so many goes on from each rung.
        confirm: Trials to train at the full budget in the end; None: about a third of the search's cost.
        train_examples: Training examples of a trial; None: the task's, as in those that follow.
        evaluation_examples: Validation examples.
        epochs: Passes over the training examples.
        batch_size: Examples a step.
        batch_tokens: Most tokens a step, padding counted, in place of `batch_size`.
        max_length: Tokens an example.
        track: Trackers that get every trial as a run: "tensorboard", "wandb", "mlflow", "trackio".
        callbacks: Hear of every trial that ends; what they raise is a warning, never the search's end.
        offline: Never ask the hub.
        progress: Whether to print how it goes, on standard error; or what hears of every trial.
        unknown: There are no other settings; a misspelled one is an error that names the nearest.

    Raises:
        UnknownNameError: There is no such setting.
        AutopeftError: The input is wrong, something it names is unavailable, or every trial failed.
    """
    request = _request(SearchRequest, locals())
    sources = {entry.name: "argument" for entry in fields(request) if getattr(request, entry.name) != entry.default}
    if request.task is not None and request.data_dir is None and (folder := os.environ.get(DATA_VARIABLE)):
        request = replace(request, data_dir=folder)  # recorded, since the run may be resumed where the variable isn't set
        sources["data_dir"] = "environment"
    with _search_progress(progress) as listener:
        return SearchResult(engine.search(request, listener, sources, callbacks=callbacks).path)


def resume(
    path: StrPath,
    *,
    trials: int | None = None,
    confirm: int | None = None,
    time_limit: float | None = None,
    trial_timeout: float | None = None,
    max_failed: float | None = None,
    workers: int | None = None,
    address: str | None = None,
    device: str | None = None,
    gpus_per_trial: float | None = None,
    trials_per_gpu: str | int | None = None,
    cache_bytes: str | int | None = None,
    pack: str | int | None = None,
    track: str | Sequence[str] | None = None,
    callbacks: Sequence[Callback] = (),
    offline: bool | None = None,
    progress: bool | engine.Progress = True,
    **unknown: Never,
) -> SearchResult:
    """Go on with a search that was stopped, as if it never had been; as `autopeft search --resume`.

    What is not given stays as the search was asked for.

    Args:
        path: The run's directory.
        trials: A new total.
        confirm: A new number of trials to train at the full budget.
        time_limit: Minutes from now after which no new trial starts.
        trial_timeout: Seconds after which a worker gives a trial up.
        max_failed: Share of the trials that may fail.
        workers: Worker processes; 0 runs trials in this process.
        address: Address of a Ray cluster; "local": this machine.
        device: What trials run on.
        gpus_per_trial: How much of a GPU a trial takes.
        trials_per_gpu: How many trials share a GPU, or "auto".
        cache_bytes: Memory in which each worker may keep hidden states below the modules.
        pack: Trials at once in a worker; as in `search`.
        track: Trackers; one that is named for the first time gets the trials that are over, too.
        callbacks: As in `search`.
        offline: Never ask the hub.
        progress: As in `search`.
        unknown: As in `search`; no other setting can change.

    Raises:
        UnknownNameError: There is no such setting, or it can't change.
        AutopeftError: There is no run, another process drives it, or what it names is gone.
    """
    given = locals()
    _refuse_unknown(given)
    changes = {name: given[name] for name in CHANGEABLE if given[name] is not None}
    with _search_progress(progress) as listener:
        return SearchResult(engine.resume(Path(path), listener, changes, source="argument", callbacks=callbacks).path)


@contextmanager
def _search_progress(progress: bool | engine.Progress) -> Iterator[engine.Progress]:
    if not isinstance(progress, bool):
        yield progress
    elif not progress:
        yield SilentSearch()
    else:
        listener = ConsoleProgress()
        try:
            yield listener
        except KeyboardInterrupt:
            listener.stopped()
            raise
        finally:
            listener.end()


@contextmanager
def _training_progress(progress: bool | retraining.Progress) -> Iterator[retraining.Progress]:
    if not isinstance(progress, bool):
        yield progress
    elif not progress:
        yield Silent()
    else:
        listener = RetrainProgress()
        try:
            yield listener
        finally:
            listener.stop()


def _request(kind: type[Request], arguments: Mapping[str, Any]) -> Request:
    """Make a request of those of a function's arguments that are fields of it."""
    _refuse_unknown(arguments)
    return kind(**{entry.name: arguments[entry.name] for entry in fields(kind) if entry.name in arguments})


def _refuse_unknown(arguments: Mapping[str, Any]) -> None:
    """Check that a function which takes settings was given no others.

    Raises:
        UnknownNameError: It was; names the nearest.
    """
    for name in arguments["unknown"]:
        raise UnknownNameError("setting", name, arguments.keys() - {"self", "path", "unknown"})
