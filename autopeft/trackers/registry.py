"""Trackers by name."""

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec

from autopeft.errors import UnavailableError, UnknownNameError
from autopeft.trackers.callback import Callback

TRACKERS = {
    "tensorboard": ("autopeft.trackers.tensorboard_files", "TensorBoardFiles"),
    "wandb": ("autopeft.trackers.wandb_runs", "WandbRuns"),
    "mlflow": ("autopeft.trackers.mlflow_runs", "MlflowRuns"),
    "trackio": ("autopeft.trackers.trackio_runs", "TrackioRuns"),
}
"""By name, which is that of the package it needs and of an extra too: module and class."""


def make_trackers(names: Sequence[str]) -> dict[str, Callback]:
    """Return trackers by name.

    Raises:
        UnknownNameError: There is none of a name.
        UnavailableError: One needs a package that is not installed.
    """
    made = {}
    for name in names:
        if name not in TRACKERS:
            raise UnknownNameError("tracker", name, TRACKERS)
        if find_spec(name) is None:
            raise UnavailableError(f"the tracker {name} needs the package {name}", remedy=f'Install it: pip install "autopeft[{name}]".')
        module, cls = TRACKERS[name]
        tracker: Callback = getattr(import_module(module), cls)()
        made[name] = tracker
    return made
