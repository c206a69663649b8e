"""What one trial trains: which PEFT modules, of which size, in which layers, and with which training hyper-parameters.

A configuration is a value. Two that mean the same (a module of size 0 or in no layer, another order of modules or layers)
are equal and share one id, whatever space or file they came from.
"""

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from autopeft.errors import InvalidInputError
from autopeft.training_parameters import TrainingValue, known

Scalar = str | int | float | bool


def written(value: TrainingValue) -> str:
    """Return a hyper-parameter's value as people read it, in three digits; values that read the same are the same to a reader."""
    return value if isinstance(value, str) else f"{value:.3g}"


@dataclass(frozen=True)
class PeftModule:
    """One PEFT method at one size in some layers.

    A method may occur several times in a configuration with different sizes, as long as no layer holds the same method twice on
    the same targets; that is how per-layer ranks are written.

    Raises:
        InvalidInputError: A field has the wrong type or a negative value.
    """

    method: str
    """Name in the method registry, such as "lora"."""
    size: int
    """Rank, bottleneck size or prefix length. Methods without a size take 1. 0 means off."""
    layers: tuple[int, ...] | None = None
    """Insertion layers, sorted, numbered from 0 at the input. None for a method that is not placed in layers."""
    targets: tuple[str, ...] = ()
    """Roles of the linears a weight-level method adapts, such as ("query", "value"). Empty: the method's own default."""
    options: Mapping[str, Scalar] = field(default_factory=dict, hash=False)
    """Switches of the method that are not its size, such as {"dora": True}."""

    def __post_init__(self) -> None:
        if not isinstance(self.method, str) or not self.method:
            raise InvalidInputError("a module's method must be a name", value=self.method)
        _require_count("size", self.size, self.method)
        if self.layers is not None:
            if not (set(map(type, self.layers)) <= {int} and min(self.layers, default=0) >= 0):  # a loop over deep models takes long
                for layer in self.layers:
                    _require_count("layer", layer, self.method)
            object.__setattr__(self, "layers", tuple(sorted(set(self.layers))))
        object.__setattr__(self, "targets", tuple(sorted(set(self.targets))))
        object.__setattr__(self, "options", dict(sorted(self.options.items())))

    @property
    def is_off(self) -> bool:
        """Whether the module adds nothing: size 0, or no layer to stand in."""
        return self.size == 0 or self.layers == ()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read one entry of "modules".

        Raises:
            InvalidInputError: A key is unknown or missing, or a value has the wrong type.
        """
        _require_keys("module", data, required={"method", "size"}, optional={"layers", "targets", "options"})
        layers = _require_list("layers", data["layers"]) if data.get("layers") is not None else None
        options = data.get("options", {})
        if not isinstance(options, Mapping) or not all(isinstance(value, Scalar) for value in options.values()):
            raise InvalidInputError("a module's options must map names to scalars", value=options)
        targets = _require_list("targets", data.get("targets", ()))
        if not all(isinstance(target, str) for target in targets):
            raise InvalidInputError("a module's targets must be names", value=targets)
        return cls(data["method"], data["size"], layers, targets, options)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, without what is empty."""
        data: dict[str, Any] = {"method": self.method, "size": self.size}
        if self.layers is not None:
            data["layers"] = list(self.layers)
        if self.targets:
            data["targets"] = list(self.targets)
        if self.options:
            data["options"] = dict(self.options)
        return data


@dataclass(frozen=True)
class Configuration:
    """PEFT modules and training hyper-parameters, in canonical form.

    Raises:
        InvalidInputError: Two modules of one method share a layer and a target, or a hyper-parameter is no number or out of range.
        UnknownNameError: A training hyper-parameter is not one of `TRAINING_PARAMETERS`, or the word that it is set to is unknown.
    """

    modules: tuple[PeftModule, ...] = ()
    """What is injected; what is off is not there. Empty: only the task head is trained."""
    training: Mapping[str, TrainingValue] = field(default_factory=dict, hash=False)
    """Training hyper-parameters by name, such as {"learning_rate": 0.001}; a recipe that is off is not there."""

    def __post_init__(self) -> None:
        given = [(known(name), value) for name, value in self.training.items()]
        read = {one.name: one.read(value) for one, value in given}
        kept = {one.name: read[one.name] for one, _ in given if one.is_always_kept or read[one.name] != one.default}
        object.__setattr__(self, "modules", _canonical(self.modules))
        object.__setattr__(self, "training", dict(sorted(kept.items())))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read the JSON form.

        Raises:
            InvalidInputError: A key is unknown or missing, or a value has the wrong type.
        """
        _require_keys("configuration", data, required={"modules"}, optional={"training"})
        if not isinstance(data["modules"], list):
            raise InvalidInputError('"modules" must be a list', value=data["modules"])
        training = data.get("training", {})
        if not isinstance(training, Mapping):
            raise InvalidInputError('"training" must map names to numbers or words', value=training)
        return cls(tuple(PeftModule.from_dict(module) for module in data["modules"]), training)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read JSON text.

        Raises:
            InvalidInputError: The text is not JSON, or not a configuration.
        """
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidInputError(f"a configuration must be JSON: {error}") from error
        return cls.from_dict(data)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; `from_dict` gives back an equal configuration."""
        return {"modules": [module.to_dict() for module in self.modules], "training": dict(self.training)}

    def to_json(self) -> str:
        """Return the canonical JSON text: sorted keys, no spaces."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))

    @property
    def id(self) -> str:
        """Twelve hexadecimal digits that equal configurations share."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]

    def describe(self) -> str:
        """Say it in words, for tables and plots: "lora 8 [query value] in 0 2 4, learning rate 0.001"."""
        words = [_describe_module(module) for module in self.modules] or ["head only"]
        words += [f"{name.replace('_', ' ')} {written(value)}" for name, value in self.training.items()]
        return ", ".join(words)


def _canonical(modules: tuple[PeftModule, ...]) -> tuple[PeftModule, ...]:
    """Drop what is off, join what differs only in its layers, sort the rest."""
    alike: dict[tuple[Any, ...], list[PeftModule]] = {}
    on = [module for module in modules if not module.is_off]
    if len({module.method for module in on}) < len(on):
        _require_places(on)
    for module in on:
        key = (module.method, module.size, module.layers is None, module.targets, tuple(module.options.items()))
        alike.setdefault(key, []).append(module)
    joined = {key: same[0] if len(same) == 1 else _joined(same) for key, same in alike.items()}
    return tuple(module for _, module in sorted(joined.items(), key=lambda item: (repr(item[0]), item[1].layers or ())))


def _require_places(modules: Sequence[PeftModule]) -> None:
    taken: set[tuple[str, str, int | None]] = set()
    for module in modules:
        for place in itertools.product([module.method], module.targets or [""], module.layers or [None]):
            if place in taken:
                raise InvalidInputError(
                    f"a method may stand only once in a layer; {module.method} stands twice in layer {place[2]}",
                    remedy="Join the two modules, or give them different layers or targets.",
                )
            taken.add(place)


def _joined(same: Sequence[PeftModule]) -> PeftModule:
    return replace(same[0], layers=tuple(layer for module in same for layer in module.layers or ()))


def _describe_module(module: PeftModule) -> str:
    words = [module.method, str(module.size)]
    words += [f"[{' '.join(module.targets)}]"] if module.targets else []
    words += [name if value is True else f"{name}={value}" for name, value in module.options.items() if value is not False]
    words += [f"in {' '.join(map(str, module.layers))}"] if module.layers is not None else []
    return " ".join(words)


def _require_count(what: str, value: object, method: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidInputError(f"the {what} of {method} must be a whole number of 0 or more", value=value)


def _require_list(what: str, value: object) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise InvalidInputError(f'"{what}" must be a list', value=value)
    return tuple(value)


def _require_keys(what: str, data: object, *, required: set[str], optional: set[str]) -> None:
    if not isinstance(data, Mapping):
        raise InvalidInputError(f"a {what} must be a JSON object", value=data)
    if unknown := set(data) - required - optional:
        raise InvalidInputError(
            f"a {what} has no key {sorted(map(str, unknown))[0]!r}", remedy=f"Known: {', '.join(sorted(required | optional))}."
        )
    if missing := required - set(data):
        raise InvalidInputError(f"a {what} needs the key {sorted(missing)[0]!r}", value=dict(data))
