"""What a search comes to before Tune runs it."""

from dataclasses import fields
from typing import Any

from autopeft.errors import InvalidInputError, UnknownNameError
from autopeft.loops import planning
from autopeft.loops.planning import SearchPlan
from autopeft.request import SearchRequest

_TUNES = {
    "workers": "resources",
    "gpus_per_trial": "tune.with_resources",
    "trials_per_gpu": "tune.with_resources",
    "pack": "tune.with_resources",
    "track": "RunConfig(callbacks=[...])",
    "confirm": "another Tuner over the front's configurations with plan.budget.full()",
    "address": "ray.init",
    "out": "RunConfig(storage_path=...)",
    "time_limit": "TuneConfig(time_budget_s=...)",
    "trial_timeout": "RunConfig(stop=...)",
    "max_failed": "FailureConfig(...)",
}
"""Settings of a search that Tune has its own word for."""


def plan(**settings: Any) -> SearchPlan:
    """Find all that a search's settings name: data, model, space, objectives, what to try first.

    It loads the model once in this process, and trains nothing.

    Args:
        settings: Those of `autopeft.search` that say what is searched, such as task, model, space, objectives, rungs, epochs.

    Raises:
        UnknownNameError: There is no such setting.
        InvalidInputError: Tune decides it.
        AutopeftError: The input is wrong, or something it names is unavailable.
    """
    for name in settings:
        if name in _TUNES:
            raise InvalidInputError(f"Tune decides {name}", remedy=f"Leave it out; in Tune that is {_TUNES[name]}.")
        if name not in (known := {entry.name for entry in fields(SearchRequest)} - _TUNES.keys()):
            raise UnknownNameError("setting", name, known)
    return planning.plan(SearchRequest(**settings))
