"""Put a configuration's PEFT modules onto a model, and take them off again."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import nn

from autopeft.configuration import Configuration, PeftModule
from autopeft.errors import InvalidInputError, VerificationError
from autopeft.methods.applied import AppliedModules
from autopeft.methods.counting import count_parameters, resolve
from autopeft.methods.discovery import discover
from autopeft.methods.hook import TrainingHook
from autopeft.methods.method import Method
from autopeft.methods.quantised import keep_as_packed
from autopeft.methods.snapshot import Snapshot, in_float32, stand_in
from autopeft.methods.topology import Topology


def apply(
    model: nn.Module,
    configuration: Configuration,
    example_batch: Mapping[str, Any] | None = None,
    *,
    topology: Topology | None = None,
    extra_trainable: Sequence[str] = (),
) -> AppliedModules:
    """Put a configuration's modules onto a model and make exactly them and the task head trainable.

    Fresh values are drawn from torch's generator; seed it for the same values.

    Args:
        model: A transformers model without PEFT modules.
        configuration: What to add. Its training hyper-parameters are not used.
        example_batch: A tiny real batch to find the model's topology with, not needed when `topology` is given.
        topology: The model's topology, if it is known. One topology serves every injection into the same model.
        extra_trainable: See `discover`; part of a given topology.

    Raises:
        AutopeftError: The model cannot take the configuration, as in `autopeft.methods.counting.resolve`.
        VerificationError: What was built differs from the configuration. The model is then as it was.
    """
    topology = _topology(model, example_batch, topology, extra_trainable)
    resolved = resolve(configuration, topology)
    snapshot = Snapshot(model)
    try:
        model.autopeft_applied = True  # type: ignore[assignment]
        keep_as_packed(model)
        head = _stand_in_head(model, topology)
        modules, hooks = [], []
        for method, module in resolved:
            parameters, hook = _inject(model, method, module, topology)
            modules.extend(parameters)
            hooks.extend([hook] if hook is not None else [])
        _train_only(model, [*head, *modules])
        _follow_mode(model, snapshot)
        handle = AppliedModules(
            model, configuration, topology, _named(model, modules), _named(model, head), snapshot.restore, hooks=tuple(hooks)
        )
        _verify(handle, resolved)
    except BaseException:
        snapshot.restore()
        raise
    return handle


def _topology(model: nn.Module, batch: Mapping[str, Any] | None, topology: Topology | None, extra_trainable: Sequence[str]) -> Topology:
    if topology is None:
        if batch is None:
            raise InvalidInputError("applying a configuration needs an example batch or the model's topology")
        return discover(model, batch, extra_trainable=extra_trainable)
    if extra_trainable:
        raise InvalidInputError("extra_trainable belongs to the topology", remedy="Give it to discover.")
    if hasattr(model, "autopeft_applied"):
        raise InvalidInputError("the model carries PEFT modules already", remedy="Eject them first, or join the configurations.")
    return topology


def _stand_in_head(model: nn.Module, topology: Topology) -> list[nn.Parameter]:
    parameters = dict(model.named_parameters())
    if missing := [name for name in topology.head if name not in parameters]:
        raise VerificationError("the topology is of another model: there is no parameter of this name", value=missing[0])
    stand_in(model, [parameters[name] for name in topology.head])
    head = dict(model.named_parameters())
    return [head[name] for name in topology.head]


def _inject(model: nn.Module, method: Method, module: PeftModule, topology: Topology) -> tuple[list[nn.Parameter], TrainingHook | None]:
    """Return the parameters that are new in the model and require gradient, and the module's training hook."""
    before = list(model.parameters())
    known = {id(parameter) for parameter in before}
    hook = method.injector(model, module, topology)
    added = [parameter for parameter in model.parameters() if parameter.requires_grad and id(parameter) not in known]
    for parameter in added:  # peft's take the type of the weights beside them
        parameter.data = in_float32(parameter.data)
    return added, hook


def _train_only(model: nn.Module, trained: Sequence[nn.Parameter]) -> None:
    chosen = {id(parameter) for parameter in trained}
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) in chosen)


def _follow_mode(model: nn.Module, snapshot: Snapshot) -> None:
    """Put the new modules in the model's mode: peft's come in train mode, and `model.train()` would reset the old ones too."""
    old = set(snapshot.modules)
    for module in model.modules():
        if module not in old:
            module.training = model.training


def _named(model: nn.Module, parameters: Sequence[nn.Parameter]) -> dict[str, nn.Parameter]:
    chosen = {id(parameter) for parameter in parameters}
    return {name: parameter for name, parameter in model.named_parameters() if id(parameter) in chosen}


def _verify(handle: AppliedModules, resolved: Sequence[tuple[Method, PeftModule]]) -> None:
    """Compare what was built with the configuration: the number of parameters, and the layers they stand in."""
    wanted = count_parameters(handle.configuration, handle.topology)
    if handle.parameter_count != wanted:
        raise VerificationError(f"the configuration has {wanted} parameters, and what was built has {handle.parameter_count}")
    asked = {layer for method, module in resolved if method.selects is None and not method.spreads for layer in module.layers or ()}
    hit = set(_blocks_hit(handle))
    if missing := asked - hit:
        raise VerificationError("nothing was added to layers that the configuration names", value=sorted(missing))
    if all(method.placed_in_layers for method, _ in resolved) and (
        surplus := hit - {layer for _, module in resolved for layer in module.layers or ()}
    ):
        raise VerificationError("something was added to layers that the configuration does not name", value=sorted(surplus))


def _blocks_hit(handle: AppliedModules) -> Iterator[int]:
    for block in handle.topology.blocks:
        if any(name.startswith(f"{block.name}.") for name in handle.module_parameters):
            yield block.index
