"""Load a saved adapter onto the backbone that it was trained on.

`pack` and `unpack` work on the contents of an adapter's files, `AppliedModules.save` and `load` on the files.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as read_tensors
from torch import Tensor, nn

from autopeft.configuration import Configuration
from autopeft.errors import InvalidInputError, VerificationError
from autopeft.methods.adapter_files import DESCRIPTION, TENSORS, pack, read_description, require_whole, tensors_of
from autopeft.methods.applied import AppliedModules
from autopeft.methods.compose import apply
from autopeft.methods.discovery import discover
from autopeft.methods.fingerprint import scheme_of
from autopeft.methods.head import head_parameter_names
from autopeft.methods.topology import Topology

__all__ = ["load", "pack", "unpack"]


def load(
    model: nn.Module,
    folder: Path | str,
    example_batch: Mapping[str, Any] | None = None,
    *,
    topology: Topology | None = None,
    any_quantisation: bool = False,
) -> AppliedModules:
    """Put a saved adapter onto the backbone that it was trained on.

    Args:
        model: The backbone, without PEFT modules.
        folder: Where the adapter is.
        example_batch: A tiny real batch to find the model's topology with, not needed when `topology` is given.
        topology: The model's topology, if it is known.
        any_quantisation: Take the backbone also as it was before it was quantised, dequantised, or quantised otherwise than in training; it
            then computes something else.

    Raises:
        InvalidInputError: The folder holds no adapter, or a damaged one.
        VerificationError: The backbone is another one, or the tensors don't fit it. The model is then as it was.
    """
    folder = Path(folder)
    require_whole(folder)
    files = {name: (folder / name).read_bytes() for name in (DESCRIPTION, TENSORS)}
    return unpack(model, files, example_batch, topology=topology, any_quantisation=any_quantisation)


def unpack(
    model: nn.Module,
    files: Mapping[str, bytes],
    example_batch: Mapping[str, Any] | None = None,
    *,
    topology: Topology | None = None,
    any_quantisation: bool = False,
) -> AppliedModules:
    """Put an adapter onto the backbone that it was trained on, from the files of `pack`.

    Raises:
        AutopeftError: As in `load`.
    """
    description = read_description(files[DESCRIPTION])
    if topology is None:
        if example_batch is None:
            raise InvalidInputError("loading an adapter needs an example batch or the model's topology")
        topology = discover(model, example_batch, extra_trainable=_extra_trainable(model, description["head"]))
    _require_same_backbone(description["backbone"], topology, any_quantisation)
    applied = apply(model, Configuration.from_dict(description["configuration"]), topology=topology)
    try:
        _fill(tensors_of(applied), read_tensors(files[TENSORS]))
        for hook in applied.hooks:
            hook.loaded()
    except BaseException:
        applied.eject()
        raise
    return applied


def _extra_trainable(model: nn.Module, head: list[str]) -> list[str]:
    names = {name for name, _ in model.named_parameters()}
    return [name for name in head if name in names and name not in head_parameter_names(model)]


def _require_same_backbone(saved: Mapping[str, Any], topology: Topology, any_quantisation: bool) -> None:
    digests: Mapping[str, str] = saved["tensors"]
    found = {tensor.name: tensor.digest for tensor in topology.backbone()}
    differing = sorted(name for name in digests.keys() | found if digests.get(name) != found.get(name))
    if any_quantisation:  # what is quantised here or was there can't be compared, only that it is there
        either = {name for name, digest in (*digests.items(), *found.items()) if scheme_of(digest)}
        differing = [name for name in differing if name not in either or name not in digests or name not in found]
    elif (trained := saved.get("quantization", "")) != topology.quantisation:
        present = topology.quantisation or "unquantised"
        raise VerificationError(
            f"the adapter was trained over {trained or 'unquantised'} weights, and the model's are {present}",
            remedy="Quantise the model as in training; or export the trial with --to merged. autopeft.load takes any_quantisation=True.",
        )
    if differing:
        raise VerificationError(
            f"the adapter was trained on another backbone, {saved['name'] or saved['class']}: "
            f"{len(differing)} of {len(found)} tensors differ, {_some(differing)}",
            remedy=f"Load the model that it was trained on{_elsewhere(topology)}.",
        )


def _elsewhere(topology: Topology) -> str:
    return ", on the kind of device and with the versions that quantised it then" if topology.quantisation else ""


@torch.no_grad()
def _fill(parameters: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    if missing := sorted(parameters.keys() - tensors):
        raise VerificationError(f"the adapter lacks {len(missing)} tensors: {_some(missing)}")
    if surplus := sorted(tensors.keys() - parameters):
        raise VerificationError(f"the adapter has {len(surplus)} tensors that the model has no place for: {_some(surplus)}")
    for name, parameter in parameters.items():
        if parameter.shape != tensors[name].shape:
            raise VerificationError(f"{name} must have the shape {tuple(parameter.shape)}", value=tuple(tensors[name].shape))
        parameter.copy_(tensors[name])


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
