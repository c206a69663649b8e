"""Training at the full budget: chosen configurations with all data, over several seeds, measured on held-out test data.

This is the only loop that loads test examples. Which epoch is kept is decided on validation data, before they are looked at.
"""

import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Protocol

from autopeft.budget import Budget
from autopeft.costs import recorded_costs
from autopeft.errors import AutopeftError, InvalidInputError
from autopeft.executors.base import Executor
from autopeft.loops.data import load_data, low_cost_budget
from autopeft.loops.lengths import fit_length
from autopeft.loops.pool import Pool
from autopeft.loops.transfer import transfer
from autopeft.loops.workers import n_threads, start_executor
from autopeft.machine import hardware
from autopeft.methods.registry import positions_taken
from autopeft.paths import absolute_model
from autopeft.plugins import import_plugin
from autopeft.provenance import versions
from autopeft.request import SearchRequest, as_loaded, require_types, without_cards
from autopeft.study import confirmed
from autopeft.study.details import details_file
from autopeft.study.directory import RunDirectory
from autopeft.study.lock import driving
from autopeft.study.reader import StudyReader
from autopeft.study.record import CONFIRMATION_SEED, TrialRecord
from autopeft.study.retrained import Candidate, RetrainedFolder, SeedResult
from autopeft.study.rows import json_lines
from autopeft.tasks import TaskData, family_of
from autopeft.training.backbone import BackboneSource, find_backbone, require_weights
from autopeft.training.measurement import Assignment, Measurement, Outcome, RunnerSettings, Trained

_OF_OWN_DATA = ("train", "validation", "test", "dataset", "label", "kind", "language", "max_new_tokens")
"""What a search says of its data that says nothing of another task."""


@dataclass(frozen=True)
class RetrainRequest:
    """What a user can say about retraining. None means: as in the search.

    Raises:
        InvalidInputError: A value has another type or is out of range.
    """

    seeds: int = 5
    """How often each configuration is trained: with the seeds 0, 1, 2, ..."""
    epochs: int | None = None
    """Passes over all training examples; None: those of what the folder holds already, else the default."""
    workers: int | None = None
    """Worker processes; 0 trains in this process."""
    address: str | None = None
    """Address of a Ray cluster."""
    device: str | None = None
    """What to train on."""
    task: str | None = None
    """Another task to train on."""
    data_dir: str | None = None
    """Where the other task's data is."""
    model: str | None = None
    """Another backbone to train on."""
    trust_remote_code: bool = False
    """Let Python code run that the other backbone brings along; the search's own runs as it did there."""

    def __post_init__(self) -> None:
        for name in ("data_dir", "model"):
            if isinstance(path := getattr(self, name), PathLike):
                object.__setattr__(self, name, fspath(path))
        require_types(self)
        if self.seeds < 1:
            raise InvalidInputError("--seeds must be a whole number of 1 or more", value=self.seeds)
        if self.workers is not None and self.workers < 0:
            raise InvalidInputError("--workers must be a whole number of 0 or more", value=self.workers)

    @property
    def is_transfer(self) -> bool:
        """Whether it trains on another task or backbone than the search did."""
        return self.task is not None or self.model is not None

    def search_request(self, run: RunDirectory) -> SearchRequest:
        """Return what the search asked for, with what is asked for here instead."""
        asked = as_loaded(SearchRequest.from_settings(run.asked()), run.settings())
        changes: dict[str, Any] = {
            name: value for name in ("workers", "address", "device", "model") if (value := getattr(self, name)) is not None
        }
        if self.model is not None:  # what was allowed to the search's backbone says nothing of another
            changes |= {"trust_remote_code": self.trust_remote_code, "attention": "auto"}
        if self.data_dir is not None:
            changes["data_dir"] = self.data_dir
        if self.task is not None:
            changes |= {"task": self.task, "objectives": ()}
            changes |= dict.fromkeys(_OF_OWN_DATA) | {"text": (), "splits": ()}
        return replace(asked, **without_cards(changes), **changes)

    def folder(self, run: RunDirectory) -> RetrainedFolder:
        """Return where the results go: retrained/ of the run, or one folder for every other task and backbone in transferred/."""
        if not self.is_transfer:
            return RetrainedFolder(run.retrained_path)
        model = None if self.model is None else absolute_model(self.model)
        names = [Path(name).name for name in (self.task, model) if name is not None]
        return RetrainedFolder(run.transferred_path / re.sub(r"[^\w.-]", "-", "-".join(names)))


class Progress(Protocol):
    """Hears how a retraining goes on."""

    def started(self, plan: "RetrainPlan", n_done: int, n_total: int) -> None:
        """Training is about to start; so many of so many are done already."""

    def seed_finished(self, candidate: Candidate, seed: int, outcome: SeedResult | str, n_done: int, n_total: int) -> None:
        """A training ended, with a result or with the reason of its failure."""


@dataclass(frozen=True)
class RetrainPlan:
    """What is going to be trained on what."""

    data: TaskData
    backbone: BackboneSource
    budget: Budget
    folder: RetrainedFolder
    confirmed: Mapping[str, tuple[RunDirectory, int]] = field(default_factory=dict)
    """By id of a configuration that the search, or the tuning of a baseline, trained on the same data with the same budget: its trial."""

    def trained_already(self, candidate: Candidate, seed: int) -> Trained | None:
        """Return a training that a search has done already; None if this one was not."""
        if seed != CONFIRMATION_SEED or candidate.id not in self.confirmed:
            return None
        return confirmed.read(*self.confirmed[candidate.id])


def retrain(run: RunDirectory, candidates: Sequence[Candidate], request: RetrainRequest, progress: Progress) -> RetrainedFolder:
    """Train configurations at the full budget, each with every seed that is not done yet.

    Args:
        run: The run that they come from.
        candidates: At least one configuration.
        request: How often, how long, where, and on what.
        progress: Hears of every training.

    Returns:
        The folder of results, with at least one of a candidate.

    Raises:
        InvalidInputError: The folder holds results of another task, backbone or budget, or another process drives the run.
        UnsupportedError: Another backbone can't take a configuration.
        UnavailableError: Data or backbone are not there any more.
        AutopeftError: Every training failed.
        KeyboardInterrupt: The user stopped it; the same call goes on.
    """
    asked, folder = request.search_request(run), request.folder(run)
    for path in asked.plugins:
        import_plugin(path)
    metric = None if request.task is not None else run.settings("task")["task"]["metric"]
    data = load_data(asked, with_test=True, metric=metric)
    backbone = find_backbone(asked.model, offline=asked.offline, trust_remote_code=asked.trust_remote_code, quantize=asked.quantize)
    backbone = replace(backbone, dtype=asked.dtype, attention=asked.attention)
    if request.model is None:
        require_weights(backbone, run.settings("model")["model"])
    budget = _budget(asked, data, request, folder, run)
    plan = RetrainPlan(data, backbone, budget, folder, {} if request.is_transfer else _confirmed(run, budget, data.task.metric))
    settings = RunnerSettings(
        backbone,
        data.task,
        data.train,
        data.validation,
        asked.plugins,
        threads=n_threads(asked),
        gradient_checkpointing=asked.gradient_checkpointing,
        cache_bytes=asked.n_cache_bytes,
        test=data.test,
    )
    if not request.is_transfer:
        folder.require_same(_identity(plan))
    if not request.is_transfer and not _waiting(folder, candidates, request.seeds):
        return folder
    with driving(run), closing(start_executor(settings, asked)) as executor:
        if request.model is not None:
            topology, n_layers = executor.describe().topology, run.settings("n_layers")["n_layers"]
            candidates = [replace(one, configuration=transfer(one.configuration, n_layers, topology)) for one in candidates]
        if request.is_transfer:
            taken = max(positions_taken(one.configuration) for one in candidates)
            budget, data = fit_length(plan.budget, data, executor.describe(), taken)
            plan = replace(plan, budget=budget, data=data)
            folder.require_same(_identity(plan))
        folder.prepare(_describe(plan, executor, settings.threads), candidates)
        _train(plan, candidates, request.seeds, executor, progress)
    _require_results(folder, candidates)
    return folder


def of_trials(records: Sequence[TrialRecord]) -> list[Candidate]:
    """Return trials of a search as candidates."""
    return [Candidate(record.configuration, f"trial {record.number}", "trial", record.number) for record in records]


class _Seeds:
    """Hands out trainings seed by seed: if retraining is stopped, every candidate has some.

    What was trained already, when a trial was confirmed, is measured on test data alone.
    """

    thinks_ahead = True

    def __init__(self, plan: RetrainPlan, waiting: Iterable[tuple[Candidate, int]]) -> None:
        self._plan, self._waiting = plan, deque(waiting)

    def next_assignment(self) -> Assignment | None:
        if not self._waiting:
            return None
        candidate, seed = self._waiting.popleft()
        budget = self._plan.budget
        trained = self._plan.trained_already(candidate, seed)
        return Assignment(candidate.trial, candidate.configuration, budget, seed, budget.epoch_ends, keeps_best=True, trained=trained)

    def put_back(self, assignment: Assignment) -> None:
        """Do nothing: what has no result on disk is trained by the next call."""


def _train(plan: RetrainPlan, candidates: Sequence[Candidate], n_seeds: int, executor: Executor, progress: Progress) -> None:
    waiting = _waiting(plan.folder, candidates, n_seeds)
    by_id = {candidate.id: candidate for candidate in candidates}
    n_total = n_seeds * len(by_id)
    n_done = n_total - len(waiting)
    progress.started(plan, n_done, n_total)
    for outcome in Pool(executor, _Seeds(plan, waiting)).outcomes():
        n_done += 1
        candidate = by_id[outcome.assignment.configuration.id]
        progress.seed_finished(candidate, outcome.assignment.seed, _record(plan.folder, outcome), n_done, n_total)


def _waiting(folder: RetrainedFolder, candidates: Sequence[Candidate], n_seeds: int) -> list[tuple[Candidate, int]]:
    unique = {candidate.id: candidate for candidate in candidates}.values()
    return [(candidate, seed) for seed in range(n_seeds) for candidate in unique if not folder.is_done(candidate.id, seed)]


def _record(folder: RetrainedFolder, outcome: Outcome) -> SeedResult | str:
    """Write what came of a training."""
    assignment, measurement = outcome.assignment, outcome.measurement
    if measurement is None:
        folder.write_error(assignment.configuration.id, assignment.seed, f"{outcome.error}\n\n{outcome.traceback}")
        return outcome.error
    result = _result(assignment.seed, measurement)
    files = {f"adapter/{name}": content for name, content in outcome.adapter.items()}
    files["curve.jsonl"] = json_lines(asdict(point) for point in measurement.curve)
    files |= details_file(outcome.details)
    folder.write_result(assignment.configuration.id, result, files)
    return result


def _result(seed: int, measurement: Measurement) -> SeedResult:
    assert measurement.final is not None, "a runner that was given test examples measures on them"
    return SeedResult(
        seed=seed,
        epoch=measurement.final.epoch,
        validation=measurement.metrics,
        test=measurement.final.test_metrics,
        trainable_parameters=measurement.trainable_parameters,
        head_parameters=measurement.head_parameters,
        resampled=measurement.final.resampled,
        **recorded_costs(measurement),
    )


def _budget(asked: SearchRequest, data: TaskData, request: RetrainRequest, folder: RetrainedFolder, run: RunDirectory) -> Budget:
    if request.epochs is None and (earlier := folder.settings()):
        return Budget.from_dict(earlier["budget"])
    budget = low_cost_budget(asked, data) if request.is_transfer else Budget.from_dict(run.settings("budget")["budget"])
    return budget.full(request.epochs)


def _confirmed(run: RunDirectory, budget: Budget, metric: str) -> dict[str, tuple[RunDirectory, int]]:
    """Return by configuration the trials that the search, or the tuning of a baseline, has trained with this budget by this metric."""
    runs = [run, *(RunDirectory.open(path.parent) for path in sorted(run.baselines_path.glob("*/study.db")))]
    return {
        record.configuration.id: (one, record.number)
        for one in runs
        if Budget.from_dict(one.settings("budget")["budget"]).full() == budget and one.settings("task")["task"]["metric"] == metric
        for record in StudyReader.open(one).records()
        if record.confirmed and one.confirmed_path(record.number).is_dir()
    }


def _identity(plan: RetrainPlan) -> dict[str, Any]:
    """Return what all results of a folder share."""
    model = {"name": plan.backbone.name, "sha256": plan.backbone.sha256}
    return {"task": plan.data.task.name, "model": model, "budget": plan.budget.to_dict()}


def _describe(plan: RetrainPlan, executor: Executor, threads: int | None) -> Mapping[str, Any]:
    facts, data = executor.describe(), plan.data
    assert data.test is not None, "the data was loaded with its test examples"
    return {
        **_identity(plan),
        "metric": data.task.metric,
        "direction": family_of(data.task).metrics[data.task.metric].direction,
        "trivial_score": data.trivial_scores().get(data.task.metric),
        "examples": {"train": len(data.train), "validation": len(data.validation), "test": len(data.test)},
        "data_notes": list(data.notes),
        "backbone_parameters": facts.backbone_parameters,
        "head_parameters": facts.head_parameters,
        "precision": facts.precision,
        "dtype": facts.dtype,
        "device": facts.device,
        "threads": threads,
        "versions": versions(),
        "hardware": hardware(),
    }


def _require_results(folder: RetrainedFolder, candidates: Sequence[Candidate]) -> None:
    found = {one.candidate.id: one for one in folder.read()}
    if not any(found[candidate.id].results for candidate in candidates):
        reason = next(iter(found[candidates[0].id].errors.values()), "")
        raise AutopeftError(f"every training failed; the first of {candidates[0].name}: {reason}", remedy=f"See {folder.path}.")
