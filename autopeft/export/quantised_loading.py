"""How an export's own code quantises the backbone again as a trial had it."""

from typing import Any, NamedTuple

from autopeft.export.finished_trial import FinishedTrial
from autopeft.training.backbone import NO_QUANTISATION

_FOUR_BITS = ("load_in_4bit", "bnb_4bit_quant_type", "bnb_4bit_use_double_quant")


class LoadingCode(NamedTuple):
    """Python code for `from_pretrained`; both are empty where nothing is quantised, or the checkpoint itself is."""

    imports: str = ""
    """Lines that import what the argument needs."""
    argument: str = ""
    """A comma, and the argument that quantises."""


def loading_code(trial: FinishedTrial, model: Any) -> LoadingCode:
    """Return the code that loads a trial's backbone as it is loaded here."""
    if trial.backbone.quantize == NO_QUANTISATION:
        return LoadingCode()
    settings = model.config.quantization_config
    if trial.backbone.quantize == "torchao-int8":
        imports = "from torchao.quantization import Int8WeightOnlyConfig\nfrom transformers import TorchAoConfig\n"
        call = f"TorchAoConfig(Int8WeightOnlyConfig(), modules_to_not_convert={sorted(settings.modules_to_not_convert)!r})"
        return LoadingCode(imports, f", quantization_config={call}")
    arguments: dict[str, Any] = {"load_in_8bit": True}
    if trial.backbone.quantize == "nf4":
        arguments = {name: getattr(settings, name) for name in _FOUR_BITS}
        arguments["bnb_4bit_compute_dtype"] = str(settings.bnb_4bit_compute_dtype).removeprefix("torch.")
    arguments["llm_int8_skip_modules"] = sorted(settings.llm_int8_skip_modules)
    call = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    return LoadingCode("from transformers import BitsAndBytesConfig\n", f", quantization_config=BitsAndBytesConfig({call})")
