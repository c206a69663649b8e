"""Loading a backbone whose frozen linears are quantised."""

import importlib.util
import logging
from collections.abc import Iterable, Mapping, Set
from copy import copy
from typing import Any

import torch
import transformers
from torch import nn

from autopeft.errors import InvalidInputError, UnavailableError, UnsupportedError
from autopeft.methods.head import head_parameter_names
from autopeft.methods.quantised import keep_as_packed, quantised
from autopeft.training.backbone import NO_QUANTISATION, BackboneSource
from autopeft.training.device import has_bfloat16

_PACKAGES: Mapping[str, str] = {"nf4": "bitsandbytes", "int8": "bitsandbytes", "torchao-int8": "torchao"}
_REQUIREMENTS: Mapping[str, str] = {"bitsandbytes": "autopeft[quantize]", "torchao": "torchao"}
_SKIPPED = "llm_int8_skip_modules"
"""What bitsandbytes' settings call the modules that stay as they are, of four bits too."""


def own_quantisation(config: Any) -> str:
    """Return what a checkpoint is quantised with already, such as "bitsandbytes"; empty if it isn't."""
    found = getattr(config, "quantization_config", None)
    if not found:
        return ""
    method = found.get("quant_method") if isinstance(found, Mapping) else found.quant_method
    return str(getattr(method, "value", method))


def loading_arguments(source: BackboneSource, auto_class: Any, config: Any, device: torch.device) -> dict[str, Any]:
    """Return what `from_pretrained` needs besides, empty where nothing is quantised.

    Weights are quantised on the device where they are used. Bitsandbytes' four bits are always quantised doubly, and compute in bfloat16 on
    a GPU that has it, else in float32. The task head, a pooler and a language model's output layer stay as they are, embeddings too.

    Args:
        source: The model.
        auto_class: What loads it.
        config: Its configuration; a checkpoint's own quantisation learns in it which modules stay plain.
        device: Where it goes.

    Raises:
        InvalidInputError: The checkpoint is quantised already, and another quantisation is asked for.
        UnavailableError: What quantises is not installed.
    """
    own = own_quantisation(config)
    if source.quantize == NO_QUANTISATION and not own:
        return {}
    if source.quantize != NO_QUANTISATION and own:
        raise InvalidInputError(
            f"the model's checkpoint is quantised already, by {own}", value=source.quantize, remedy="Leave --quantize out."
        )
    plain = modules_to_keep(auto_class, config, source.trust_remote_code)
    if own:
        _keep_plain(config.quantization_config, plain)
        return {"device_map": {"": device}}
    package = _PACKAGES[source.quantize]
    if importlib.util.find_spec(package) is None:
        remedy = f"Install it where trials run: pip install '{_REQUIREMENTS[package]}'."
        raise UnavailableError(f"--quantize {source.quantize} needs the package {package}", remedy=remedy)
    return {"quantization_config": _settings(source.quantize, plain, device), "device_map": {"": device}}


def _settings(scheme: str, plain: list[str], device: torch.device) -> Any:
    """Return transformers' settings of a quantisation."""
    if scheme == "torchao-int8":
        from torchao.quantization import Int8WeightOnlyConfig

        in_torchao: Any = transformers.TorchAoConfig
        return in_torchao(Int8WeightOnlyConfig(), modules_to_not_convert=plain)
    settings: Any = transformers.BitsAndBytesConfig
    if scheme == "int8":
        logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)  # it says at every product that it rounds
        return settings(load_in_8bit=True, llm_int8_skip_modules=plain)
    return settings(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16 if device.type == "cuda" and has_bfloat16(device) else torch.float32,
        llm_int8_skip_modules=plain,
    )


def _keep_plain(settings: Any, names: Iterable[str]) -> None:
    """Add modules to those that a checkpoint's own settings leave as they are."""
    if not isinstance(settings, dict):
        settings = vars(settings)
    key = _SKIPPED if _SKIPPED in settings else "modules_to_not_convert"
    settings[key] = [*(settings.get(key) or ()), *names]


def modules_to_keep(auto_class: Any, config: Any, trust_remote_code: bool) -> list[str]:
    """Return the modules of a model that are not quantised, by name: the task head, a pooler, a language model's output layer."""
    config = copy(config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    with torch.device("meta"):
        model = auto_class.from_config(config, trust_remote_code=trust_remote_code)
    heads = {name.rpartition(".")[0] for name in (*head_parameter_names(model), *pooler_parameters(model))}
    get_output = getattr(model, "get_output_embeddings", None)
    output = None if get_output is None else get_output()
    return sorted(heads | {name for name, module in model.named_modules() if output is not None and module is output})


def pooler_parameters(model: Any) -> set[str]:
    """Return the names of the parameters of the layer between the backbone and its head that BERT calls pooler."""
    pooler = getattr(model.base_model, "pooler", None)
    return {f"{model.base_model_prefix}.pooler.{name}" for name, _ in pooler.named_parameters()} if isinstance(pooler, nn.Module) else set()


def settled(model: nn.Module, source: BackboneSource, fresh: Set[str], device: torch.device) -> nn.Module:
    """Return a loaded model on its device; a quantised one is there already.

    Raises:
        UnavailableError: The checkpoint lacked weights that are quantised.
        UnsupportedError: None are, although that was asked for.
    """
    if getattr(model, "hf_quantizer", None) is None:
        return model.to(device)
    found = {name for name, parameter in model.named_parameters() if quantised(model.get_submodule(name.rpartition(".")[0]), parameter)}
    if lacking := sorted(found & fresh):
        raise UnavailableError("the checkpoint lacks weights that would be quantised", value=lacking[0], remedy="Leave --quantize out.")
    if source.quantize != NO_QUANTISATION and not found:
        remedy = "Leave --quantize out." if _PACKAGES[source.quantize] == "bitsandbytes" else "Leave --quantize out, or take nf4 or int8."
        raise UnsupportedError("the model has no weights that can be quantised so", value=source.quantize, remedy=remedy)
    keep_as_packed(model)
    return model
