"""What a user asks of a search, checked, and written into run.json with where each setting came from."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from os import PathLike, fspath
from types import NoneType
from typing import Any, Self, get_args, get_origin, get_type_hints

import numpy as np
from pydantic import TypeAdapter, ValidationError

from autopeft.amounts import parse_amount
from autopeft.budget import Budget
from autopeft.errors import InvalidInputError, UnknownNameError
from autopeft.methods.presets import PRESETS
from autopeft.objectives import ADAPTER_BYTES, LATENCY_SECONDS, PEAK_BYTES, TRAIN_SECONDS, TRAINABLE_PARAMETERS, Constraint
from autopeft.paths import absolute, absolute_model
from autopeft.rungs.halving import SuccessiveHalving
from autopeft.samplers.registry import require_sampler
from autopeft.space.reader import is_space_file
from autopeft.tasks import family_class
from autopeft.training.backbone import NO_QUANTISATION, QUANTISATIONS

DTYPES = ("auto", "float32", "bfloat16", "float16")
ATTENTION = ("auto", "eager", "sdpa", "flash_attention_2")
CHECKPOINTING = ("auto", "on", "off")
PORTFOLIO, NONE = "portfolio", "none"
"""What `SearchRequest.start` takes beside the presets."""
AUTO = "auto"
"""What `SearchRequest.pack` takes beside numbers."""
LARGEST_SEED = 2**32 - 1
"""NumPy's generators take none above."""
_MEASURED_ALONE = (TRAIN_SECONDS, PEAK_BYTES, LATENCY_SECONDS)
"""Costs that a trial must have a worker to itself for."""
_TYPES = {int: "a whole number", float: "a number", str: "text", bool: "True or False", NoneType: "None"}
_SHARES = ("gpus_per_trial", "trials_per_gpu")
CHANGEABLE = (
    *("trials", "confirm", "time_limit", "trial_timeout", "max_failed"),
    *("workers", "address", "device", *_SHARES, "cache_bytes", "pack", "track", "offline"),
)
"""What may be asked anew when a run is resumed: how long it goes on and where it runs, but nothing that decides what a trial measures."""


@dataclass(frozen=True)
class SearchRequest:
    """Everything a user can say about a search. None means: the task's or the machine's default; one string for several: that one.

    Paths are kept from the root, so that a run can be resumed, retrained and exported from any folder.

    Raises:
        InvalidInputError: A value has another type or is out of range, or both or neither of a task and own files are given.
        UnknownNameError: There is no such sampler or kind of task.
    """

    task: str | None = None
    train: str | None = None
    """File of training examples, for own data."""
    validation: str | None = None
    """File of validation examples; cut from the training examples if not given."""
    test: str | None = None
    """File of test examples, kept for the end; cut from the training examples if not given. A search selects nothing by them."""
    dataset: str | None = None
    """A data set of the hub, for any task: owner/name, or owner/name:configuration."""
    splits: tuple[str, ...] = ()
    """Which of its splits serve which roles where names aren't the usual ones, such as "validation=dev", "train=train[:20000]"."""
    kind: str | None = None
    """Which kind of task such data are, one of `autopeft.tasks.family_names()`; inferred from columns and labels if not given."""
    language: str | None = None
    """Code of the language of such data, such as "de", where a model must know it."""
    text: tuple[str, ...] = ()
    """Columns of own files or of a data set to read."""
    label: str | None = None
    """Column of them to predict."""
    model: str | None = None
    trust_remote_code: bool = False
    """Let Python code run that the model brings along, with all rights of the user, wherever the model is loaded."""
    quantize: str = NO_QUANTISATION
    """How the backbone's frozen linears are quantised, one of `QUANTISATIONS`."""
    dtype: str = "auto"
    """How precisely frozen weights are held, one of `DTYPES`: "auto" is bfloat16 on a GPU that multiplies it natively, else float32."""
    attention: str = "auto"
    """Which attention function of transformers the model calls, one of `ATTENTION`."""
    gradient_checkpointing: str = "auto"
    """Whether blocks' layers are computed again in the backward pass instead of kept: "on", "off", or "auto": where memory runs out."""
    data_dir: str | None = None
    space: str = "default"
    plugins: tuple[str, ...] = ()
    """Own Python files that register methods or tasks; imported in every process of the search."""
    trials: int = 64
    """Total number of trials, those of a resumed run counted."""
    workers: int | None = None
    """Worker processes; 0 runs trials in this process. None: one a GPU, else one a usable core as far as memory goes, or a cluster's."""
    address: str | None = None
    """Address of a Ray cluster."""
    device: str = "auto"
    """What trials run on: "cpu", "cuda" (also ROCm), "cuda:1" (of this machine, only that), "mps"; "auto": "cuda" if there is one."""
    gpus_per_trial: float | None = None
    """How much of a GPU a trial takes, more than 0 and at most 1. None: a whole one, less where more workers than GPUs are asked for."""
    trials_per_gpu: str | int | None = None
    """The same said the other way round: how many trials share a GPU, or "auto": as many as the first trial's memory leaves room for."""
    max_new_tokens: int | None = None
    """Tokens after which a text that a model writes is cut off; none: 64."""
    objectives: tuple[str, ...] = ()
    """Metrics of the task and costs that are traded off, 2 to 4; none: the task's metric and trainable parameters."""
    max_params: str | int | None = None
    """Most trainable parameters: a number, or a percentage of the backbone's such as "0.5%"."""
    max_adapter_bytes: str | int | None = None
    """Most bytes of a saved adapter's tensors, such as "2M"."""
    max_train_seconds: float | None = None
    """Most seconds of training steps; a trial that takes more is infeasible."""
    max_memory: str | int | None = None
    """Most bytes in use at once; a trial that takes more is infeasible."""
    start: tuple[str, ...] = (PORTFOLIO,)
    """Presets to try first, and whether the portfolio follows before anything that the sampler proposes; none: nothing is tried first."""
    warm_start: tuple[str, ...] = ()
    """Earlier runs whose fronts are tried after the presets and before the portfolio."""
    cache_bytes: str | int = "1G"
    """Memory in which each worker may keep hidden states below the modules; 0: none are kept."""
    pack: str | int = AUTO
    """Trials that may be under way at once in a worker, over one backbone: a number, or "auto": on a GPU as many as fit, else one."""
    sampler: str = "autopeft"
    seed: int = 0
    out: str | None = None
    time_limit: float | None = None
    """Minutes after which no new trial starts."""
    trial_timeout: float | None = None
    """Seconds after which a worker gives a trial up; it is recorded as failed."""
    max_failed: float = 0.5
    """Share of the trials that may fail; with more the search ends in an error, its record complete all the same."""
    rungs: tuple[float, ...] = ()
    """Shares of a trial's budget at which it waits until it is among the best there; none: every trial is trained to the end."""
    reduction: float = 3.0
    """One trial in so many goes on from each rung."""
    confirm: int | None = None
    """Trials that are trained at the full budget in the end; None: as many as take about a third of the cost, 0: none."""
    train_examples: int | None = None
    evaluation_examples: int | None = None
    epochs: int | None = None
    batch_size: int | None = None
    batch_tokens: int | None = None
    max_length: int | None = None
    track: tuple[str, ...] = ()
    """Trackers that get every trial, of those in `autopeft.trackers.registry`."""
    offline: bool = False

    def __post_init__(self) -> None:
        for name in ("train", "validation", "test", "model", "data_dir", "space", "out"):
            if isinstance(path := getattr(self, name), PathLike):
                object.__setattr__(self, name, fspath(path))
        for name in ("objectives", "start", "track"):
            if isinstance(given := getattr(self, name), str) and "," in given:
                parts = [part.strip() for part in given.split(",")]
                raise InvalidInputError(f"several values of {name} must be a list", value=given, remedy=f"Give {parts!r}.")
        for name in ("text", "splits", "objectives", "start", "plugins", "warm_start", "track"):
            object.__setattr__(self, name, _several(getattr(self, name)))
        if self.start == (NONE,):
            object.__setattr__(self, "start", ())
        if not isinstance(self.rungs, str):
            object.__setattr__(self, "rungs", _several(self.rungs))
        require_types(self)
        SuccessiveHalving(self.rungs, self.reduction)
        for name in ("plugins", "warm_start"):
            object.__setattr__(self, name, tuple(absolute(path) for path in getattr(self, name)))
        for name in ("train", "validation", "test", "data_dir"):
            if (path := getattr(self, name)) is not None:
                object.__setattr__(self, name, absolute(path))
        if self.model is not None:
            object.__setattr__(self, "model", absolute_model(self.model))
        if is_space_file(self.space):
            object.__setattr__(self, "space", absolute(self.space))
        if self.kind is not None:
            family_class(self.kind)
        if self.quantize not in QUANTISATIONS:
            raise UnknownNameError("quantisation", self.quantize, QUANTISATIONS)
        self._require_one_source()
        for name, least in {"trials": 1, "workers": 0, "seed": 0, "confirm": 0, "max_new_tokens": 1}.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise InvalidInputError(f"{flag(name)} must be a whole number of {least} or more", value=value)
        if self.seed > LARGEST_SEED:
            raise InvalidInputError(f"--seed must be at most {LARGEST_SEED}", value=self.seed)
        for name, unit in {"time_limit": "minutes", "trial_timeout": "seconds"}.items():
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise InvalidInputError(f"{flag(name)} must be more than 0 {unit}, and finite", value=value)
        if self.trial_timeout is not None and self.workers == 0:
            remedy = "Give --workers 1 or more."
            raise InvalidInputError("--trial-timeout needs worker processes, which can be killed", value=self.trial_timeout, remedy=remedy)
        for name, known in {"dtype": DTYPES, "attention": ATTENTION, "gradient_checkpointing": CHECKPOINTING}.items():
            if getattr(self, name) not in known:
                raise InvalidInputError(f"{flag(name)} must be one of {', '.join(known)}", value=getattr(self, name))
        self._require_devices()
        if not 0 <= self.max_failed <= 1:
            raise InvalidInputError("--max-failed must be a share between 0 and 1", value=self.max_failed)
        self.budget(Budget(max_length=1))  # what a task's texts are cut at isn't known yet
        _ = self.n_cache_bytes
        if self.pack != AUTO and not re.fullmatch(r"0*[1-9]\d{0,5}", str(self.pack)):
            raise InvalidInputError("--pack must be a whole number of 1 or more, or auto", value=self.pack)
        self.constraints(backbone_parameters=1)
        for name in self.presets:
            if name not in PRESETS:
                raise UnknownNameError("preset", name, [PORTFOLIO, NONE, *PRESETS])
        require_sampler(self.sampler)

    def _require_one_source(self) -> None:
        of_own_files = [name for name in ("train", "validation", "test", "dataset", "text", "label", "language") if getattr(self, name)]
        if self.task is None and self.train is None and self.dataset is None:
            remedy = "Give --task NAME, --train FILE, or --dataset OWNER/NAME."
            raise InvalidInputError("a search needs a task, own files or a data set to learn from", remedy=remedy)
        files = [name for name in ("train", "validation", "test") if getattr(self, name)]
        if self.dataset is not None and files:
            remedy = f"Leave out one. Which split of a data set is for what is said with --splits {files[0]}=NAME."
            raise InvalidInputError(
                f"a search learns a data set or own files, and both are given: --dataset and {flag(files[0])}",
                value=self.dataset,
                remedy=remedy,
            )
        if self.splits and self.dataset is None:
            raise InvalidInputError("--splits are those of a data set of the hub", value=self.splits, remedy="Give --dataset OWNER/NAME.")
        if self.task is not None and of_own_files:
            given = flag(of_own_files[0])
            raise InvalidInputError(
                f"a search learns a task by its name, or other data, and both are given: --task and {given}",
                value=self.task,
                remedy=f"Leave out --task, or {given}.",
            )

    def _require_devices(self) -> None:
        if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", self.device):
            raise InvalidInputError("--device must be auto, cpu, cuda, mps, or a GPU by its number, such as cuda:1", value=self.device)
        if self.address not in (None, "local") and self.device not in ("auto", "cpu", "cuda"):
            remedy = "Give auto, cpu or cuda: which GPU a trial gets is for Ray to say."
            raise InvalidInputError("--device can't name a device of this machine on a cluster", value=self.device, remedy=remedy)
        if self.gpus_per_trial is not None and not 0 < self.gpus_per_trial <= 1:
            remedy = "A model is not split over GPUs; --device cpu uses none."
            raise InvalidInputError("--gpus-per-trial must be more than 0 and at most 1", value=self.gpus_per_trial, remedy=remedy)
        if self.trials_per_gpu not in (None, "auto") and not re.fullmatch(r"[1-9]\d{0,2}", str(self.trials_per_gpu)):
            raise InvalidInputError("--trials-per-gpu must be a whole number from 1 to 999, or auto", value=self.trials_per_gpu)
        shared = [name for name in _SHARES if getattr(self, name) is not None]
        if len(shared) > 1:
            raise InvalidInputError("--gpus-per-trial and --trials-per-gpu say the same", remedy="Leave one of them out.")
        if shared and self.device in ("cpu", "mps"):
            raise InvalidInputError(f"{flag(shared[0])} needs a GPU to share", value=self.device, remedy="Leave it or --device out.")
        if self.trials_per_gpu == "auto" and self.workers:
            raise InvalidInputError("--trials-per-gpu auto finds the number of workers", value=self.workers, remedy="Leave --workers out.")

    @property
    def gpu_share(self) -> float | None:
        """How much of a GPU each worker takes; None: as little as memory allows, which shows when a trial has run."""
        if self.trials_per_gpu is not None:
            return None if self.trials_per_gpu == "auto" else math.floor(10_000 / int(self.trials_per_gpu)) / 10_000
        return 1.0 if self.gpus_per_trial is None else self.gpus_per_trial

    def budget(self, default: Budget) -> Budget:
        """Return the task's default budget with what the request sets instead."""
        return default.with_overrides(**{entry.name: getattr(self, entry.name) for entry in fields(Budget)})

    @property
    def presets(self) -> tuple[str, ...]:
        """The presets among what is tried first."""
        return tuple(name for name in self.start if name != PORTFOLIO)

    @property
    def n_cache_bytes(self) -> int:
        """The bytes that `cache_bytes` stands for."""
        text = str(self.cache_bytes)
        return 0 if text == "0" else int(parse_amount("--cache-bytes", text))

    @property
    def unpacked_for(self) -> str:
        """The cost, if there is one, for which trials run alone whatever `pack` says, since it is measured."""
        bounds = {one.objective for one in self.constraints(backbone_parameters=1)}
        return next((one.name for one in _MEASURED_ALONE if one.name in self.objectives or one in bounds), "")

    @property
    def n_packed(self) -> int | None:
        """Trials that may be under way at once in a worker; None: as many as are of use."""
        if self.unpacked_for:
            return 1
        return None if self.pack == AUTO else int(self.pack)

    def constraints(self, backbone_parameters: int) -> tuple[Constraint, ...]:
        """Return what the search keeps to.

        Args:
            backbone_parameters: What a percentage of parameters refers to.
        """
        given = (
            (TRAINABLE_PARAMETERS, "--max-params", self.max_params, backbone_parameters),
            (ADAPTER_BYTES, "--max-adapter-bytes", self.max_adapter_bytes, None),
            (TRAIN_SECONDS, "--max-train-seconds", self.max_train_seconds, None),
            (PEAK_BYTES, "--max-memory", self.max_memory, None),
        )
        return tuple(Constraint(cost, parse_amount(flag, str(bound), whole)) for cost, flag, bound, whole in given if bound is not None)

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """Return what is asked when a run is resumed with some settings anew.

        Raises:
            InvalidInputError: Another setting than those in `CHANGEABLE` is among them, or a value is out of range.
        """
        if fixed := sorted(changes.keys() - set(CHANGEABLE)):
            flags = ", ".join(map(flag, CHANGEABLE))
            raise InvalidInputError(
                f"a resumed run keeps its settings; only {flags} can change", value=flag(fixed[0]), remedy=f"Leave {flag(fixed[0])} out."
            )
        return replace(self, **without_cards(changes), **changes)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Read back what `to_settings` wrote into run.json.

        Raises:
            InvalidInputError: A setting is unknown, of another type or out of range.
        """
        known = get_type_hints(cls)
        if unknown := set(settings) - set(known):
            raise InvalidInputError("run.json holds a setting that this autopeft doesn't know", value=min(unknown))
        values = {}
        for name, entry in settings.items():
            try:
                values[name] = TypeAdapter(known[name]).validate_python(entry["value"])
            except ValidationError as error:
                reason = error.errors()[0]["msg"]
                raise InvalidInputError(f"run.json's setting {name}: {reason}", value=entry["value"]) from None
        return cls(**values)

    def to_settings(self, sources: Mapping[str, str]) -> dict[str, dict[str, Any]]:
        """Return every setting with where it came from: "flag", "file", "environment" or "default"."""
        return {name: {"value": value, "source": sources.get(name, "default")} for name, value in asdict(self).items()}


def as_loaded(request: SearchRequest, settings: Mapping[str, Any]) -> SearchRequest:
    """Return a run's request with what "auto" came to where its backbone was loaded: on another device it would come to something else.

    Args:
        request: What was asked.
        settings: The content of run.json.
    """
    loaded = settings.get("model")
    if not isinstance(loaded, Mapping):
        return request
    # Runs of earlier versions have neither: all was float32.
    return replace(request, dtype=loaded.get("dtype", "float32"), attention=loaded.get("attention", "auto"))


def without_cards(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what else changes with a device that is no card which trials could share."""
    return {name: None for name in _SHARES if name not in changes} if changes.get("device") in ("cpu", "mps") else {}


def flag(setting: str) -> str:
    """Return the command line's name of a setting."""
    return "--plugin" if setting == "plugins" else f"--{setting.replace('_', '-')}"


def require_types(request: Any) -> None:
    """Check that each field of a dataclass has the type that it declares; numpy's numbers become Python's.

    Raises:
        InvalidInputError: One has another; names the setting.
    """
    for name, (hint, adapter) in _adapters(type(request)).items():  # type: ignore[arg-type]
        value = getattr(request, name)
        if isinstance(value, np.generic):
            object.__setattr__(request, name, value := value.item())
        try:
            adapter.validate_python(value, strict=True)
        except ValidationError:
            shown = value if isinstance(value, str | int | float | tuple | None) else type(value).__name__
            given = value if isinstance(value, tuple) else (value,)
            number = next((one for one in given if isinstance(one, int) and not isinstance(one, bool) and "text" in hint), None)
            remedy = "" if number is None else f"Give {number} as text: {str(number)!r}."
            raise InvalidInputError(f"the setting {name} must be {hint}", value=shown, remedy=remedy) from None


@cache
def _adapters(cls: type) -> dict[str, tuple[str, TypeAdapter[Any]]]:
    """Return by field what it may hold, in words, and what checks that."""
    return {name: (_words(hint), TypeAdapter(hint)) for name, hint in get_type_hints(cls).items()}


def _words(hint: Any) -> str:
    if get_origin(hint) is tuple:
        return f"a list, each {_TYPES[get_args(hint)[0]]}"
    return " or ".join(_TYPES[one] for one in get_args(hint) or (hint,))


def _several(given: Any) -> Any:
    """Return one or several values as a tuple: a string is one, though it is a sequence of strings too, of its characters."""
    if isinstance(given, str | PathLike):
        return (fspath(given),)
    return tuple(fspath(one) if isinstance(one, PathLike) else one for one in given) if isinstance(given, Iterable) else given
