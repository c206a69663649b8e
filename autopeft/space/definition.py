"""The written form of a search space, checked by pydantic, and its binding to a backbone's number of layers and hidden size."""

from collections.abc import Collection
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr, model_validator

from autopeft.configuration import TRAINING_PARAMETERS
from autopeft.errors import UnknownNameError
from autopeft.space.parameter import Parameter, Real
from autopeft.space.space import LayerPolicy, ModuleSlot, SearchSpace

Size = Annotated[StrictInt, Field(ge=0, le=1_000_000)]
OptionValue = StrictBool | StrictInt | StrictFloat | StrictStr


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _as_values(data: Any) -> Any:
    """A bare list is short for {values: list}, a bare scalar for a list of one."""
    if isinstance(data, dict):
        return data
    return {"values": data if isinstance(data, list) else [data]}


def _as_choices(data: Any) -> Any:
    """A flat list of names is one fixed choice."""
    return [data] if isinstance(data, list) and data and all(isinstance(item, str) for item in data) else data


def _as_list(data: Any) -> Any:
    return data if isinstance(data, list) else [data]


class SizeDefinition(_Strict):
    """Sizes of a module: a list, or halvings of the backbone's hidden size."""

    values: list[Size] | None = Field(default=None, min_length=1)
    halvings_of_hidden: Annotated[StrictInt, Field(ge=0, le=30)] | None = None
    """k gives 0 (off) and the hidden size halved 0 to k times, as in AutoPEFT."""

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.values is None) == (self.halvings_of_hidden is None):
            raise ValueError("a size needs either a list of values or halvings_of_hidden")
        if self.values is not None and not any(self.values):
            raise ValueError("a size needs a value other than 0")
        if self.values is not None and len(set(self.values)) < len(self.values):
            raise ValueError("a size may not list a value twice")
        return self

    def resolve(self, hidden_size: int) -> tuple[int, ...]:
        """Return the sizes in rising order for a backbone of this hidden size."""
        if self.values is not None:
            return tuple(sorted(self.values))
        return tuple(sorted({0, *(max(1, hidden_size >> k) for k in range((self.halvings_of_hidden or 0) + 1))}))


class ModuleDefinition(_Strict):
    """One PEFT method of a space."""

    method: StrictStr
    name: Annotated[StrictStr, Field(pattern=r"^[a-z][a-z0-9_]*$")] | None = None
    """Prefix of its parameters; needed where a method occurs twice."""
    size: Annotated[SizeDefinition, BeforeValidator(_as_values)]
    targets: Annotated[list[Annotated[list[StrictStr], Field(min_length=1)]], BeforeValidator(_as_choices)] = []
    options: dict[StrictStr, Annotated[list[OptionValue], Field(min_length=1), BeforeValidator(_as_list)]] = {}

    def slot(self, hidden_size: int, placed_in_layers: bool) -> ModuleSlot:
        """Return the slot for a backbone of this hidden size."""
        return ModuleSlot(
            name=self.name or self.method,
            method=self.method,
            sizes=self.size.resolve(hidden_size),
            targets=tuple(tuple(choice) for choice in self.targets),
            options=tuple((option, tuple(choices)) for option, choices in self.options.items()),
            placed_in_layers=placed_in_layers,
        )


class RangeDefinition(_Strict):
    """A training hyper-parameter: an interval, or one fixed value."""

    low: float | None = None
    high: float | None = None
    log: StrictBool = False
    values: list[float] | None = Field(default=None, min_length=1, max_length=1)

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if self.values is not None:
            return self
        if self.low is None or self.high is None:
            raise ValueError("a training hyper-parameter needs a fixed number or {low, high}")
        if not self.low < self.high:
            raise ValueError(f"low must be below high, and {self.low:g} is not below {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"low must be above 0 on a log scale, and it is {self.low:g}")
        return self


class SpaceDefinition(_Strict):
    """A search space as written, before it is bound to a backbone."""

    description: StrictStr = ""
    layers: LayerPolicy = "shared"
    modules: list[ModuleDefinition] = Field(min_length=1)
    training: dict[StrictStr, Annotated[RangeDefinition, BeforeValidator(_as_values)]]

    @model_validator(mode="after")
    def _names(self) -> Self:
        names = [module.name or module.method for module in self.modules]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"{min(twice)!r} occurs twice in modules: give each a name of its own")
        if "learning_rate" not in self.training:
            raise ValueError("training needs a learning_rate: it decides more than any other hyper-parameter")
        for name in self.training:
            if name not in TRAINING_PARAMETERS:
                raise ValueError(str(UnknownNameError("training hyper-parameter", name, TRAINING_PARAMETERS)))
        return self

    def bind(self, name: str, *, n_layers: int, hidden_size: int, unplaced: Collection[str] = ()) -> SearchSpace:
        """Return the space for a backbone.

        Args:
            name: What to call the space in reports.
            n_layers: Number of layers the mask spans.
            hidden_size: Width that `halvings_of_hidden` starts from.
            unplaced: Methods that don't stand in layers, so that no mask concerns them.
        """
        slots = tuple(module.slot(hidden_size, module.method not in unplaced) for module in self.modules)
        searched: list[Parameter] = []
        fixed: list[tuple[str, float]] = []
        for key, entry in self.training.items():
            if entry.values is not None:
                fixed.append((key, entry.values[0]))
            elif entry.low is not None and entry.high is not None:
                searched.append(Real(key, entry.low, entry.high, entry.log))
        return SearchSpace(name, slots, tuple(searched), n_layers, self.layers, tuple(fixed))
