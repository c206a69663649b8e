"""Which targets hold all of a trial, by its configuration alone: for tables of many trials, so nothing here loads a model or torch.

An export itself looks at the model too, and may still refuse: `peft` saves the head as whole modules, for example.
"""

import json
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

from autopeft.configuration import Configuration, PeftModule
from autopeft.errors import UnknownNameError, UnsupportedError
from autopeft.export import adapterhub_modules, low_rank
from autopeft.methods.registry import get_method
from autopeft.methods.topology import ALL_ROLES


def holding_targets(configuration: Configuration, model_type: str = "") -> tuple[str, ...]:
    """Return the targets that hold all of a configuration, as `TARGETS` names them.

    Args:
        configuration: What a trial trained.
        model_type: The backbone's family, such as "bert", which AdapterHub's library must know; empty where it isn't known.
    """
    held = {
        "peft": _fits_peft(configuration),
        "merged": _merges(configuration),
        "adapters": model_type in adapterhub_modules.PLACES and not adapterhub_modules.split_off(configuration, model_type)[1],
        "script": True,
    }
    return tuple(target for target, holds in held.items() if holds)


def model_type(settings: Mapping[str, Any]) -> str:
    """Return the family of a run's backbone by the model's own config.json; empty where that is gone."""
    try:
        return str(json.loads((Path(settings["model"]["path"]) / "config.json").read_text(encoding="utf-8"))["model_type"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _fits_peft(configuration: Configuration) -> bool:
    try:
        kept, lost = low_rank.split_off(configuration)
    except UnsupportedError:
        return False
    return not lost and not any(_share_a_linear(one, other) for one, other in combinations(kept.modules, 2))


def _share_a_linear(one: PeftModule, other: PeftModule) -> bool:
    mine, theirs = (get_method(module.method).complete(module).targets for module in (one, other))
    targets_meet = ALL_ROLES in (*mine, *theirs) or not set(mine).isdisjoint(theirs)
    return targets_meet and not set(one.layers or ()).isdisjoint(other.layers or ())


def _merges(configuration: Configuration) -> bool:
    try:
        return all(get_method(module.method).merges_with(module) for module in configuration.modules)
    except UnknownNameError:  # a method of a plugin, which is not imported to draw a table
        return False
