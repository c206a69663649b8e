"""Which modules of a configuration AdapterHub's adapters library has, by what it calls them. Nothing here needs torch."""

from collections.abc import Sequence

from autopeft.configuration import Configuration, PeftModule
from autopeft.methods.topology import ALL_ROLES

PLACES = {
    "bert": ("output.adapters", "self_prefix"),
    "roberta": ("output.adapters", "self_prefix"),
    "xlm-roberta": ("output.adapters", "self_prefix"),
    "electra": ("output.adapters", "self_prefix"),
    # On this family the library raises the attention to a prefix, so that one trained here would compute something else.
    "distilbert": ("output_adapters.adapters", ""),
}
"""For each family, where the library keeps a block's adapters, and what it calls the prefixes of self-attention (empty: see there)."""
ROLES = {"query": "q", "key": "k", "value": "v"}
OTHER_ROLES = {"ffn_in": "intermediate_lora", "ffn_out": "output_lora"}
_OPTIONS = {
    "serial_adapter": {"scale", "activation"},
    "parallel_adapter": {"scale", "activation"},
    "prefix": {"cross", "mlp_width"},
    "lora": {"alpha", "dropout"},
}


def split_off(configuration: Configuration, family: str) -> tuple[list[PeftModule], list[str]]:
    """Return the modules that the library has on a family of models, and in words the others."""
    kept: list[PeftModule] = []
    lost = []
    # Serial adapters come after parallel ones in the configuration's order, and of two in a layer the serial one stays.
    for module in sorted(configuration.modules, key=lambda module: module.method == "parallel_adapter"):
        if (why := _why_lost(module, kept, family)) is not None:
            lost.append(Configuration((module,)).describe() + why)
        else:
            kept.append(module)
    return kept, lost


def _why_lost(module: PeftModule, kept: Sequence[PeftModule], family: str) -> str | None:
    """Return why the library can't hold a module beside others, in parentheses; None if it can."""
    if module.method not in _OPTIONS:
        return ""
    if module.method == "prefix" and not PLACES[family][1]:
        return f" (the library attends to a prefix otherwise on {family})"
    wrong = [name for name, value in module.options.items() if value is not False and name not in _OPTIONS[module.method]]
    if module.options.get("cross") or module.options.get("mlp_width"):
        wrong.append("cross" if module.options.get("cross") else "mlp_width")
    if wrong:
        return f" (its option {', '.join(wrong)})"
    if module.method in ("lora", "prefix") and any(other.method == module.method for other in kept):
        return f" (a second {module.method})"
    if others := set(module.targets) - {*ROLES, *OTHER_ROLES} - {ALL_ROLES}:
        return f" (on {', '.join(sorted(others))})"
    if ALL_ROLES in module.targets:
        return " (on every linear)"
    beside = [other for other in kept if other.method.endswith("_adapter") and module.method.endswith("_adapter")]
    if any(set(other.layers or ()) & set(module.layers or ()) for other in beside):
        return " (beside a serial adapter in the same layer)"
    return None
