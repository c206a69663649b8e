"""The written form of a search space, checked by pydantic, and its binding to a backbone's number of layers and hidden size."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr, model_validator

from autopeft.errors import InvalidInputError, UnknownNameError
from autopeft.space.layers import LayerRule
from autopeft.space.parameter import Categorical, Ordinal, Parameter, Real
from autopeft.space.slots import MethodChoice, ModuleSlot
from autopeft.space.space import LayerSharing, Prior, SearchSpace
from autopeft.training_parameters import TrainingParameter, TrainingValue, known

Size = Annotated[StrictInt, Field(ge=0, le=1_000_000)]
OptionValue = StrictBool | StrictInt | StrictFloat | StrictStr


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _as_values(data: Any) -> Any:
    """A bare list is short for {values: list}, a bare scalar for a list of one, the word suggested for {suggested: true}."""
    if isinstance(data, dict):
        return data
    if data == "suggested":
        return {"suggested": True}
    return {"values": data if isinstance(data, list) else [data]}


def _as_choices(data: Any) -> Any:
    """A flat list of names is one fixed choice."""
    return [data] if isinstance(data, list) and data and all(isinstance(item, str) for item in data) else data


def _as_list(data: Any) -> Any:
    return data if isinstance(data, list) else [data]


_LAYER_WORDS = {"shared": {"shared": "mask"}, "per_module": {"per_module": "mask"}, "all": {"shared": "all"}}


def _as_layers(data: Any) -> Any:
    """A bare word is short for who shares a free mask, or for every layer."""
    if not isinstance(data, str):
        return data
    if data not in _LAYER_WORDS:
        raise ValueError(str(UnknownNameError("choice of layers", data, _LAYER_WORDS)))
    return _LAYER_WORDS[data]


def _as_method_list(data: Any) -> Any:
    """One name is a list of one."""
    return [data] if isinstance(data, str) else data


@dataclass(frozen=True)
class MethodTraits:
    """What binding a space needs to know of a PEFT method."""

    sizes: tuple[int, ...] = (1,)
    """The sizes worth searching, without 0; (1,) for a method without a size."""
    has_size: bool = True
    placed_in_layers: bool = True
    takes_targets: bool = True


class SizeDefinition(_Strict):
    """Sizes of a module: a list, halvings of the backbone's hidden size, or what each method itself suggests."""

    values: list[Size] | None = Field(default=None, min_length=1)
    halvings_of_hidden: Annotated[StrictInt, Field(ge=0, le=30)] | None = None
    """k gives 0 (off) and the hidden size halved 0 to k times, as in AutoPEFT."""
    suggested: Literal[True] | None = None
    """0 (off) and the sizes that the method itself thinks worth searching."""

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if sum(entry is not None for entry in (self.values, self.halvings_of_hidden, self.suggested)) != 1:
            raise ValueError("a size needs one of: a list of values, halvings_of_hidden, suggested")
        if self.values is not None and not any(self.values):
            raise ValueError("a size needs a value other than 0")
        if self.values is not None and len(set(self.values)) < len(self.values):
            raise ValueError("a size may not list a value twice")
        return self

    def resolve(self, hidden_size: int, traits: MethodTraits) -> tuple[int, ...]:
        """Return the sizes in rising order for a backbone of this hidden size; of a method without a size, any but 0 is on, 1."""
        if self.suggested:
            return tuple(sorted({0, *traits.sizes}))
        if self.values is not None:
            return tuple(sorted(self.values if traits.has_size else {min(size, 1) for size in self.values}))
        halved = {0, *(max(1, hidden_size >> k) for k in range((self.halvings_of_hidden or 0) + 1))}
        return tuple(sorted(halved if traits.has_size else {0, 1}))


class ModuleDefinition(_Strict):
    """One place for a module: its method, or several to choose from."""

    method: Annotated[list[StrictStr], Field(min_length=1), BeforeValidator(_as_method_list)]
    name: Annotated[StrictStr, Field(pattern=r"^[a-z][a-z0-9_]*$")] | None = None
    """Prefix of its parameters; needed where there are several methods, or a method occurs twice."""
    size: Annotated[SizeDefinition, BeforeValidator(_as_values)]
    targets: Annotated[list[Annotated[list[StrictStr], Field(min_length=1)]], BeforeValidator(_as_choices)] = []
    options: dict[StrictStr, Annotated[list[OptionValue], Field(min_length=1), BeforeValidator(_as_list)]] = {}
    layers: LayerRule | None = None
    """A set of layers of its own, under this rule; without it, what the space says."""

    @model_validator(mode="after")
    def _several(self) -> Self:
        if len(set(self.method)) < len(self.method):
            raise ValueError("a module may not list a method twice")
        if len(self.method) > 1 and (self.name is None or self.options):
            raise ValueError("a module with several methods needs a name, and can't set options")
        return self

    @property
    def slot_name(self) -> str:
        """Prefix of its parameters."""
        return self.name or self.method[0]

    def slot(self, hidden_size: int, traits: Mapping[str, MethodTraits]) -> ModuleSlot:
        """Return the slot for a backbone of this hidden size."""
        found = [(method, traits[method]) for method in self.method]
        choices = tuple(
            MethodChoice(method, self.size.resolve(hidden_size, one), one.placed_in_layers, one.takes_targets) for method, one in found
        )
        options = tuple((option, tuple(values)) for option, values in self.options.items())
        return ModuleSlot(self.slot_name, choices, tuple(tuple(choice) for choice in self.targets), options, self.layers)


class LayersDefinition(_Strict):
    """Who shares a set of layers, and the rule that it is chosen by: mask, weighted, span, top, every or all."""

    shared: LayerRule | None = None
    per_module: LayerRule | None = None

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.shared is None) == (self.per_module is None):
            raise ValueError("layers needs one of: shared, per_module")
        return self

    @property
    def sharing(self) -> LayerSharing:
        """Who shares a set."""
        return "shared" if self.per_module is None else "per_module"

    @property
    def rule(self) -> LayerRule:
        """How a set is chosen."""
        return self.per_module or self.shared or "mask"


class RangeDefinition(_Strict):
    """A training hyper-parameter: an interval, one fixed value, several to choose from, or those that are worth searching."""

    low: float | None = None
    high: float | None = None
    log: StrictBool = False
    values: list[float | StrictStr] | None = Field(default=None, min_length=1)
    suggested: Literal[True] | None = None

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if sum((self.values is not None, self.suggested is not None, self.low is not None or self.high is not None)) > 1:
            raise ValueError("a training hyper-parameter needs one of: values, suggested, {low, high}")
        if self.values is not None or self.suggested:
            return self
        if self.low is None or self.high is None:
            raise ValueError("a training hyper-parameter needs a fixed value, a list of them, suggested, or {low, high}")
        if not self.low < self.high:
            raise ValueError(f"low must be below high, and {self.low:g} is not below {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"low must be above 0 on a log scale, and it is {self.low:g}")
        return self

    def check(self, parameter: TrainingParameter) -> None:
        """Check that a parameter can have all these values.

        Raises:
            InvalidInputError: It can't, or there is nothing to suggest.
            UnknownNameError: A word is none that it can be.
        """
        if self.suggested and not parameter.values:
            raise InvalidInputError(f"there is no list of values to suggest for {parameter.name}", remedy="Give {low, high}.")
        if parameter.is_word and self.low is not None:
            words = ", ".join(map(str, parameter.values))
            raise InvalidInputError(f"{parameter.name} is a word and has no range", remedy=f"Give a list of some of: {words}.")
        given: list[TrainingValue] = [one for one in (self.low, self.high, *(self.values or ())) if one is not None]
        read = [_read(parameter, one) for one in given]
        if self.values is not None and len(set(read)) < len(read):
            raise InvalidInputError(f"{parameter.name} may not list a value twice", value=self.values)

    def bind(self, parameter: TrainingParameter) -> Parameter | TrainingValue:
        """Return what is searched, or the one value that is fixed."""
        if self.low is not None and self.high is not None:
            return Real(parameter.name, self.low, self.high, self.log)
        values = [_read(parameter, one) for one in (parameter.values if self.values is None else self.values)]
        if len(values) == 1:
            return values[0]
        if parameter.is_word:
            return Categorical(parameter.name, tuple(sorted(values, key=lambda one: one != parameter.default)))
        numbers = sorted(float(one) for one in values)
        if numbers[-1] == parameter.default:  # off comes first
            numbers.reverse()
        return Ordinal(parameter.name, tuple(numbers), first_is_off=parameter.can_be_off and numbers[0] == parameter.default)


def _read(parameter: TrainingParameter, value: TrainingValue) -> TrainingValue:
    """Return a value as a configuration keeps it; YAML takes 1e-3, without a point, for a word."""
    if isinstance(value, str) and not parameter.is_word:
        with suppress(ValueError):
            value = float(value)
    return parameter.read(value)


class SpaceDefinition(_Strict):
    """A search space as written, before it is bound to a backbone."""

    description: StrictStr = ""
    layers: Annotated[LayersDefinition, BeforeValidator(_as_layers)] = LayersDefinition(shared="mask")
    prior: Prior = "even"
    modules: list[ModuleDefinition]
    """Empty: only the task head is trained."""
    training: dict[StrictStr, Annotated[RangeDefinition, BeforeValidator(_as_values)]]

    @model_validator(mode="after")
    def _names(self) -> Self:
        names = [module.slot_name for module in self.modules]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"{min(twice)!r} occurs twice in modules: give each a name of its own")
        if "learning_rate" not in self.training:
            raise ValueError("training needs a learning_rate: it decides more than any other hyper-parameter")
        return self

    def bind(self, name: str, *, n_layers: int, hidden_size: int, traits: Mapping[str, MethodTraits]) -> SearchSpace:
        """Return the space for a backbone.

        Args:
            name: What to call the space in reports.
            n_layers: Number of layers the mask spans.
            hidden_size: Width that `halvings_of_hidden` starts from.
            traits: What is known of each method, by name.
        """
        slots = tuple(module.slot(hidden_size, traits) for module in self.modules)
        searched: list[Parameter] = []
        fixed: list[tuple[str, TrainingValue]] = []
        for key, entry in self.training.items():
            bound = entry.bind(known(key))
            if isinstance(bound, float | str):
                fixed.append((key, bound))
            else:
                searched.append(bound)
        return SearchSpace(name, slots, tuple(searched), n_layers, self.layers.sharing, self.layers.rule, tuple(fixed), self.prior)
