"""What was retrained, on disk: the folder retrained/ of a run, and of the same form what was retrained elsewhere.

settings.json                          task, model, budget, where the data came from; the same for all that is in the folder
<configuration id>/configuration.json  what was trained
<configuration id>/origin.json         what it is called, and where it was found
<configuration id>/seed-0/             result.json, curve.jsonl, details.json, adapter/; error.txt if it failed; resampled.json: test
                                       metrics on draws of test examples, for intervals
costs.json                             what the search cost, and tuning baselines; only where some were tuned
retrained.json                         all of it in one file, for other programs

A result.json is written last: where there is one, that seed is done and is never trained again.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypedDict

from autopeft.configuration import Configuration
from autopeft.costs import Costs, recorded_costs
from autopeft.errors import InvalidInputError
from autopeft.forms import read_json
from autopeft.study.directory import write_atomically
from autopeft.study.rows import finite
from autopeft.study.settings import RetrainedSettings
from autopeft.tasks import Metric, rank

Kind = Literal["trial", "baseline"]
_DRAWS, _COSTS = "resampled.json", "costs.json"


class _Origin(TypedDict):
    name: str
    kind: Kind
    trial: int


BASELINES: Mapping[str, str] = {
    "lora": "LoRA",
    "lora_all_linears": "LoRA on all linears",
    "serial_adapter": "serial adapter",
    "prefix": "prefix",
    "bitfit": "BitFit",
    "head_only": "head only",
    "full_fine_tuning": "full fine-tuning",
}
"""What tables call each baseline, by the name of its search space, and of its folder in baselines/ of a run."""


@dataclass(frozen=True)
class Candidate:
    """A configuration to retrain."""

    configuration: Configuration
    name: str
    """What tables call it, such as "trial 7"."""
    kind: Kind
    """Whether the search found it, or it was tuned to compare with."""
    trial: int
    """Its number in the run it was found in: the search, or the tuning of the baseline."""

    @property
    def id(self) -> str:
        """Id of the configuration that is trained."""
        return self.configuration.id


@dataclass(frozen=True)
class SeedResult(Costs):
    """One retraining, with what it cost."""

    seed: int
    """Seeds the head's and the modules' initial values, the order of batches and dropout."""
    epoch: float
    """The epoch that was kept: the best on validation data."""
    validation: Mapping[str, float]
    """Validation metrics of that epoch."""
    test: Mapping[str, float]
    """Test metrics of that epoch, measured once."""
    trainable_parameters: int
    head_parameters: int
    resampled: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Test metrics on test examples drawn with replacement, many times; the same draws for every training on the same examples. Empty of
    what an earlier version trained."""


@dataclass(frozen=True)
class Retrained:
    """A configuration with what its seeds gave."""

    candidate: Candidate
    results: tuple[SeedResult, ...]
    """By rising seed."""
    errors: Mapping[int, str]
    """Why a seed failed, by seed."""

    def best_seed(self, metric: Metric) -> int:
        """Return the seed whose kept epoch is best on validation data: its adapter is the one to export. There must be a result."""
        return max(self.results, key=lambda result: rank(metric, result.validation)).seed


def searched_metric(settings: Mapping[str, Any]) -> Metric:
    """Return the metric that a folder's settings name as the task's."""
    return Metric(settings["metric"], settings.get("direction", "maximize"))  # folders of earlier versions have no direction


class RetrainedFolder:
    """Paths and files of what was retrained on one task, backbone and budget. Creating the object touches nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def settings(self) -> dict[str, Any]:
        """Return settings.json; empty if nothing was retrained yet.

        Raises:
            InvalidInputError: The file can't be read, or holds something else than `RetrainedSettings`.
        """
        path = self.path / "settings.json"
        found: dict[str, Any] = read_json(path, RetrainedSettings, constants=False) if path.exists() else {}
        return found

    def require_same(self, identity: Mapping[str, Any]) -> None:
        """Check that results can stand in one table with those that are there.

        Args:
            identity: What all results share: entries of settings.json.

        Raises:
            InvalidInputError: One of them differs.
        """
        earlier = self.settings()
        for name, value in identity.items():
            if earlier and _identity(earlier[name]) != _identity(value):
                raise InvalidInputError(
                    f"all that is retrained in {self.path} must share one {name}, and what is there has {earlier[name]}",
                    value=value,
                    remedy="Ask for the same, or remove the folder.",
                )

    def prepare(self, settings: Mapping[str, Any], candidates: Sequence[Candidate]) -> None:
        """Write what is to be trained and on what."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path / "settings.json", _json(finite(settings)))
        for candidate in candidates:
            folder = self.path / candidate.id
            folder.mkdir(exist_ok=True)
            if not (folder / "origin.json").exists():
                write_atomically(folder / "configuration.json", _json(candidate.configuration.to_dict()))
                write_atomically(folder / "origin.json", _json({"name": candidate.name, "kind": candidate.kind, "trial": candidate.trial}))

    def seed_path(self, configuration_id: str, seed: int) -> Path:
        """Return the folder of one training."""
        return self.path / configuration_id / f"seed-{seed}"

    def adapter_path(self, configuration_id: str, seed: int) -> Path:
        """Return the folder of a retrained adapter."""
        return self.seed_path(configuration_id, seed) / "adapter"

    def is_done(self, configuration_id: str, seed: int) -> bool:
        """Whether a training ended well."""
        return (self.seed_path(configuration_id, seed) / "result.json").is_file()

    def write_result(self, configuration_id: str, result: SeedResult, files: Mapping[str, bytes]) -> None:
        """Write a training that ended well; file names may hold one slash."""
        self._write(configuration_id, result.seed, files)
        (self.seed_path(configuration_id, result.seed) / "error.txt").unlink(missing_ok=True)
        content = asdict(result)
        self._write(configuration_id, result.seed, {_DRAWS: json.dumps(content.pop("resampled")).encode() + b"\n"})
        self._write(configuration_id, result.seed, {"result.json": _json(content)})

    def write_error(self, configuration_id: str, seed: int, text: str) -> None:
        """Write why a training failed: one line, then whatever explains it."""
        self._write(configuration_id, seed, {"error.txt": text.encode()})

    def read(self) -> list[Retrained]:
        """Return what is there, by rising number of parameters; what has no result yet comes last.

        Of metrics those that all results have: an earlier version, or a plugin as it was, may have measured others.

        Raises:
            InvalidInputError: Not all have the one that the settings name.
        """
        found = self._with_same_metrics([self._read_one(path.parent) for path in sorted(self.path.glob("*/origin.json"))])
        return sorted(found, key=lambda one: (not one.results, one.results[0].trainable_parameters if one.results else 0, one.candidate.id))

    def write_costs(self, costs: Mapping[str, Costs]) -> None:
        """Write what led to the configurations, such as "search", and what each took."""
        write_atomically(self.path / _COSTS, _json({name: one.cost_row() for name, one in costs.items()}))

    def costs(self) -> dict[str, Costs]:
        """Return what `write_costs` wrote; empty if nothing was."""
        path = self.path / _COSTS
        found = read_json(path, dict[str, Costs]) if path.exists() else {}
        return {name: Costs(**recorded_costs(one)) for name, one in found.items()}

    def write_table(self, table: Mapping[str, Any]) -> None:
        """Write retrained.json."""
        write_atomically(self.path / "retrained.json", _json(table))

    def _read_one(self, folder: Path) -> Retrained:
        configuration = Configuration.from_dict(read_json(folder / "configuration.json", dict[str, Any]))
        candidate = Candidate(configuration, **read_json(folder / "origin.json", _Origin))
        results = [
            SeedResult(**read_json(path, SeedResult), resampled=_read_draws(path.parent)) for path in folder.glob("seed-*/result.json")
        ]
        errors = {int(path.parent.name.removeprefix("seed-")): _first_line(path) for path in folder.glob("seed-*/error.txt")}
        return Retrained(candidate, tuple(sorted(results, key=lambda result: result.seed)), dict(sorted(errors.items())))

    def _with_same_metrics(self, found: Sequence[Retrained]) -> list[Retrained]:
        metric = self.settings().get("metric", "")
        results = [result for one in found for result in one.results]
        for result in results:
            for measured in (result.validation, result.test):
                if metric not in measured:
                    rule = f"all that is retrained must have the metric {metric}, and seed {result.seed} of one has"
                    raise InvalidInputError(f"{rule} {', '.join(measured)}", value=str(self.path))
        shared = {role: [set(getattr(result, role)) for result in results] for role in ("validation", "test")}
        kept = {role: set.intersection(*names) for role, names in shared.items() if names}
        return [replace(one, results=tuple(_with_metrics(result, kept) for result in one.results)) for one in found]

    def _write(self, configuration_id: str, seed: int, files: Mapping[str, bytes]) -> None:
        for name, content in files.items():
            path = self.seed_path(configuration_id, seed) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, content)


def _with_metrics(result: SeedResult, kept: Mapping[str, Collection[str]]) -> SeedResult:
    """Return a result with some of its metrics, by role, in their order."""
    return replace(
        result,
        validation={name: value for name, value in result.validation.items() if name in kept["validation"]},
        test={name: value for name, value in result.test.items() if name in kept["test"]},
    )


def _identity(entry: Any) -> Any:
    """Return what makes an entry another one: a model's weights, wherever they are; of everything else all of it."""
    return entry["sha256"] if isinstance(entry, Mapping) and "sha256" in entry else entry


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=2).encode() + b"\n"


def _read_draws(folder: Path) -> dict[str, list[float]]:
    path = folder / _DRAWS
    found: dict[str, list[float]] = read_json(path, dict[str, list[float]]) if path.exists() else {}  # earlier versions wrote none
    return found


def _first_line(path: Path) -> str:
    return next(iter(path.read_text(encoding="utf-8").splitlines()), "")
