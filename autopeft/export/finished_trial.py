"""What is exported: a finished trial with all that its run tells about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from autopeft.budget import Budget
from autopeft.configuration import Configuration
from autopeft.errors import AutopeftError, InvalidInputError
from autopeft.loops.data import load_data
from autopeft.methods.adapter_files import DESCRIPTION, read_description, require_whole
from autopeft.paths import command
from autopeft.plugins import import_plugin
from autopeft.request import SearchRequest
from autopeft.study.directory import RunDirectory
from autopeft.study.reader import StudyReader
from autopeft.study.record import TrialRecord
from autopeft.study.retrained import RetrainedFolder, searched_metric
from autopeft.tasks import Task, TaskData
from autopeft.training.backbone import BackboneSource, find_backbone


@dataclass(frozen=True)
class FinishedTrial:
    """A complete trial, its adapter, and what it was trained on."""

    run: str
    """Name of the run."""
    record: TrialRecord
    adapter: Path
    """Folder of the saved adapter."""
    task: Task
    backbone: BackboneSource
    budget: Budget
    data: Mapping[str, Any]
    """Where the examples came from: the arguments of the search that name them, by name."""
    threads: int | None
    """CPU threads that torch had. Sums are taken in another order with another number, so digits depend on it."""
    versions: Mapping[str, str]
    """Versions of the packages that ran the search."""
    data_notes: tuple[str, ...] = ()
    """Where each split came from, one sentence each."""
    plugins: tuple[str, ...] = ()
    """The user's own Python files that register methods or tasks."""
    offline: bool = False
    """Whether the search never asked the hub."""
    test_metrics: Mapping[str, float] = field(default_factory=dict)
    """Test metrics by name of a trial that was retrained; empty of one that was only searched."""

    @property
    def configuration(self) -> Configuration:
        """What was trained."""
        return self.record.configuration

    @property
    def model_reference(self) -> str:
        """What finds the backbone again: the hub id, or the full path of a folder."""
        return self.backbone.path if self.model_is_folder else self.backbone.name

    @property
    def model_title(self) -> str:
        """The hub id of the backbone, or the name of its folder without where that lies, which means nothing on another machine."""
        return Path(self.backbone.name).name if self.model_is_folder else self.backbone.name

    @property
    def model_is_folder(self) -> bool:
        """Whether the backbone is a folder of the user's, which no hub knows."""
        return Path(self.backbone.name).is_absolute()

    @property
    def backbone_to_pass_on(self) -> BackboneSource:
        """The backbone as an export describes it: a hub id finds it anywhere, so the folder that it has on this machine is left out."""
        return self.backbone if self.model_is_folder else replace(self.backbone, path="")

    def load_data(self) -> TaskData:
        """Read training and validation examples from where the search had them.

        Raises:
            AutopeftError: They are not there any more.
        """
        return load_data(SearchRequest(**self.data, offline=self.offline))


def read_retrained(run: RunDirectory, number: int) -> FinishedTrial:
    """Collect a trial as it was retrained, with the seed that did best on validation data.

    Raises:
        InvalidInputError: As in `read_trial`, or the trial was not retrained.
    """
    trial, folder = read_trial(run, number), RetrainedFolder(run.retrained_path)
    found = next((one for one in folder.read() if one.candidate.id == trial.configuration.id and one.results), None)
    if found is None:
        remedy = f"Train it with: {command('retrain', run.path, '--trial', number)}"
        raise InvalidInputError(f"trial {number} was not retrained", remedy=remedy)
    settings = folder.settings()
    seed = found.best_seed(searched_metric(settings))
    result = next(result for result in found.results if result.seed == seed)
    adapter = folder.adapter_path(found.candidate.id, seed)
    return replace(
        trial,
        record=replace(trial.record, seed=seed, metrics=result.validation, **result.cost_fields()),
        adapter=adapter,
        task=_task_of(adapter),
        budget=Budget.from_dict(settings["budget"]),
        threads=settings.get("threads"),
        versions=settings.get("versions", {}),
        test_metrics=result.test,
    )


def read_trial(run: RunDirectory, number: int) -> FinishedTrial:
    """Collect a trial out of its run; a confirmed one as it was trained at the full budget.

    Raises:
        InvalidInputError: The run has no such trial, or it is not complete, or its adapter or a plugin is gone.
    """
    settings = run.settings("budget", "model")
    asked = {name: entry["value"] for name, entry in run.asked().items()}
    plugins = tuple(asked.get("plugins") or ())
    for path in plugins:
        import_plugin(path)
    record, budget = _complete(StudyReader.open(run).records(), number), Budget.from_dict(settings["budget"])
    adapter = run.adapter_path(number)
    if record.confirmed:
        record, budget, adapter = record.at_full_budget(), budget.full(), run.confirmed_path(number) / "adapter"
    if not adapter.is_dir():
        raise InvalidInputError(f"trial {number} has no saved adapter", value=str(adapter), remedy="Was its folder deleted or moved?")
    return FinishedTrial(
        run=settings.get("name") or run.path.resolve().name,
        record=record,
        adapter=adapter,
        task=_task_of(adapter),
        backbone=_found_again(BackboneSource(**settings["model"]), offline=bool(asked.get("offline"))),
        budget=budget,
        data=_data(asked),
        offline=bool(asked.get("offline")),
        threads=None if asked.get("workers") == 0 else 1,
        versions=settings.get("versions", {}),
        data_notes=tuple(settings.get("data_notes", ())),
        plugins=plugins,
    )


def _task_of(adapter: Path) -> Task:
    """Return the task that an adapter was trained for, with its own scale of numbers or threshold: a resumed run may have found others.

    Raises:
        InvalidInputError: The adapter's description is gone, damaged, or of another version.
    """
    require_whole(adapter)
    try:
        return Task.from_dict(read_description((adapter / DESCRIPTION).read_bytes())["metadata"]["task"])
    except (OSError, KeyError, TypeError) as error:
        raise InvalidInputError(f"the adapter's description can't be read: {error}", value=str(adapter / DESCRIPTION)) from None


def _found_again(backbone: BackboneSource, *, offline: bool) -> BackboneSource:
    """Return a backbone where it is now: the hub's cache and installed packages may have moved since the search."""
    if Path(backbone.path).is_dir():
        return backbone
    try:
        found = find_backbone(backbone.name, offline=offline, trust_remote_code=backbone.trust_remote_code, quantize=backbone.quantize)
    except AutopeftError:  # what an export doesn't need may be gone; what needs it says so
        return backbone
    return replace(backbone, path=found.path) if found.sha256 == backbone.sha256 else backbone


def _complete(records: list[TrialRecord], number: int) -> TrialRecord:
    by_number = {record.number: record for record in records}
    if number not in by_number:
        last = f"Its trials are 0 to {max(by_number)}." if by_number else "It has none yet."
        raise InvalidInputError("the run has no trial of this number", value=number, remedy=last)
    record = by_number[number]
    if record.state != "complete":
        why = f": {record.error}" if record.error else ""
        remedy = "Choose a trial from the front: autopeft show RUN."
        raise InvalidInputError(f"only a complete trial can be exported; trial {number} is {record.state}{why}", remedy=remedy)
    return record


def _data(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what names the examples; run.json holds full paths, so an export may be used from anywhere."""
    if asked.get("task"):
        return {"task": asked["task"], "data_dir": asked.get("data_dir")}
    if asked.get("dataset"):
        return {name: asked.get(name) for name in ("dataset", "splits", "text", "label", "kind", "language")}
    return {name: asked.get(name) for name in ("train", "validation", "test", "text", "label", "kind", "language")}
