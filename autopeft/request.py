"""What a user asks of a search, checked, and written into run.json with where each setting came from."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from os import PathLike
from pathlib import Path
from typing import Any, Self, get_type_hints

from pydantic import TypeAdapter, ValidationError

from autopeft.amounts import parse_amount
from autopeft.budget import Budget
from autopeft.errors import InvalidInputError, UnknownNameError
from autopeft.methods.presets import PRESETS
from autopeft.objectives import ADAPTER_BYTES, PEAK_BYTES, TRAIN_SECONDS, TRAINABLE_PARAMETERS, Constraint
from autopeft.rungs.halving import SuccessiveHalving
from autopeft.samplers.registry import require_sampler
from autopeft.tasks import family_class

PORTFOLIO, NONE = "portfolio", "none"
"""What `SearchRequest.start` takes beside the presets."""


@dataclass(frozen=True)
class SearchRequest:
    """Everything a user can say about a search. None means: the task's or the machine's default; one string for several: that one.

    Raises:
        InvalidInputError: A number is out of range, or both or neither of a task and own files are given.
        UnknownNameError: There is no such sampler or kind of task.
    """

    task: str | None = None
    train: str | None = None
    """File of training examples, for own data."""
    validation: str | None = None
    """File of validation examples; cut from the training examples if not given."""
    test: str | None = None
    """File of test examples, kept for the end; cut from the training examples if not given. A search selects nothing by them."""
    kind: str | None = None
    """Which kind of task own files are, one of `autopeft.tasks.family_names()`; inferred from columns and labels if not given."""
    text: tuple[str, ...] = ()
    """Text columns of own files, one or two."""
    label: str | None = None
    """Label column of own files."""
    model: str | None = None
    data_dir: str | None = None
    space: str = "default"
    plugins: tuple[str, ...] = ()
    """Own Python files that register methods or tasks; imported in every process of the search."""
    trials: int = 64
    """Total number of trials, those of a resumed run counted."""
    workers: int | None = None
    """Worker processes; 0 runs trials in this process. None: as many as cores that may be used."""
    address: str | None = None
    """Address of a Ray cluster."""
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
    train_examples: int | None = None
    evaluation_examples: int | None = None
    epochs: int | None = None
    batch_size: int | None = None
    max_length: int | None = None
    offline: bool = False

    def __post_init__(self) -> None:
        for name in ("text", "objectives", "start", "plugins", "warm_start"):
            given = getattr(self, name)
            # A string is a sequence of strings too, of its characters.
            object.__setattr__(self, name, (given,) if isinstance(given, str | PathLike) else tuple(given))
        if self.start == (NONE,):
            object.__setattr__(self, "start", ())
        object.__setattr__(self, "rungs", tuple(self.rungs))
        SuccessiveHalving(self.rungs, self.reduction)
        for name in ("plugins", "warm_start"):
            object.__setattr__(self, name, tuple(str(Path(path).expanduser().resolve()) for path in getattr(self, name)))
        for name in ("train", "validation", "test", "data_dir"):  # a run may be resumed or exported from another folder
            if (path := getattr(self, name)) is not None:
                object.__setattr__(self, name, str(Path(path).expanduser().resolve()))
        if self.kind is not None:
            family_class(self.kind)
        if (self.task is None) == (self.train is None):
            raise InvalidInputError("a search needs either a task or own files", remedy="Give --task NAME, or --train FILE.")
        for name, least in {"trials": 1, "workers": 0, "seed": 0}.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise InvalidInputError(f"--{name} must be a whole number of {least} or more", value=value)
        if self.time_limit is not None and not self.time_limit > 0:
            raise InvalidInputError("--time-limit must be more than 0 minutes", value=self.time_limit)
        if self.trial_timeout is not None and not self.trial_timeout > 0:
            raise InvalidInputError("--trial-timeout must be more than 0 seconds", value=self.trial_timeout)
        if self.trial_timeout is not None and self.workers == 0:
            remedy = "Give --workers 1 or more."
            raise InvalidInputError("--trial-timeout needs worker processes, which can be killed", value=self.trial_timeout, remedy=remedy)
        if not 0 <= self.max_failed <= 1:
            raise InvalidInputError("--max-failed must be a share between 0 and 1", value=self.max_failed)
        self.budget(Budget())
        _ = self.n_cache_bytes
        self.constraints(backbone_parameters=1)
        for name in self.presets:
            if name not in PRESETS:
                raise UnknownNameError("preset", name, [PORTFOLIO, NONE, *PRESETS])
        require_sampler(self.sampler)

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
