"""What run.json holds, and settings.json of what is retrained: the form of all that readers take from them."""

from collections.abc import Mapping
from typing import Annotated, Any, NotRequired, TypedDict

from autopeft.budget import Budget
from autopeft.objectives import Direction, Objective
from autopeft.training.backbone import BackboneSource


class Asked(TypedDict):
    """One setting."""

    value: Any
    """`SearchRequest.from_settings` says what it may be."""
    source: str


READ_DIRECTLY = {
    "trials": {"value": int | None},
    "time_limit": {"value": float | None},
    "plugins": {"value": list[str]},
    "out": {"value": str | None},
}
"""The values of settings that are read without a request."""


class Examples(TypedDict):
    """How many there are."""

    train: Annotated[int, 1]
    validation: Annotated[int, 1]
    test: NotRequired[Annotated[int, 0]]


class Confirmations(TypedDict):
    """How many trials are trained at the full budget, which is that."""

    number: Annotated[int, 0]
    budget: Budget


class Bound(TypedDict):
    """An upper bound of a cost."""

    name: str
    upper: float


class RunSettings(TypedDict, total=False):
    """The content of run.json. Earlier versions wrote less."""

    format_version: int
    name: str
    created: str
    command: str
    settings: Mapping[str, Asked]
    task: Mapping[str, Any]
    examples: Examples
    data_notes: list[str]
    model: BackboneSource
    budget: Budget
    confirmations: Confirmations
    objectives: list[Objective]
    trivial_scores: Mapping[str, float]
    full_trivial_scores: Mapping[str, float]
    constraints: list[Bound]
    n_layers: Annotated[int, 1]
    hidden_size: Annotated[int, 1]
    space_definition: Mapping[str, Any]
    space_points: float | None
    left_out: list[str]
    plugins: Mapping[str, str]
    backbone_parameters: Annotated[int, 0]
    head_parameters: Annotated[int, 0]
    precision: str
    dtype: str
    attention: str
    device: str
    pack: int
    versions: Mapping[str, str]
    hardware: Mapping[str, str | float | None]


class Model(TypedDict):
    """The model of what was retrained."""

    name: str
    sha256: str


class RetrainedSettings(TypedDict):
    """The content of settings.json of what is retrained, as far as it is read."""

    task: str
    model: Model
    budget: Budget
    metric: str
    direction: NotRequired[Direction]
    trivial_score: NotRequired[float | None]
    examples: Examples
    data_notes: list[str]
    backbone_parameters: Annotated[int, 0]
    threads: NotRequired[int | None]
    versions: NotRequired[Mapping[str, str]]
