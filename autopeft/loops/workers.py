"""Starts what runs trials: worker processes, or this one."""

from functools import partial

import joblib

from autopeft.executors.base import Executor, Runner
from autopeft.executors.inline import InlineExecutor
from autopeft.executors.workers import WorkersExecutor
from autopeft.plugins import import_plugin
from autopeft.training.measurement import RunnerSettings


def count_workers(workers: int | None) -> int:
    """Return how many worker processes to start; None means one per core that this process may use, 0 none: trials run in this process."""
    return int(joblib.cpu_count()) if workers is None else workers


def start_executor(settings: RunnerSettings, workers: int, address: str | None = None, trial_timeout: float | None = None) -> Executor:
    """Start it; the caller closes it.

    Args:
        settings: What every worker loads.
        workers: How many processes; 0 is this one.
        address: Address of a Ray cluster; None or "local": this machine alone.
        trial_timeout: Seconds after which a worker gives a trial up; trials in this process can't be.

    Raises:
        UnavailableError: Ray can't start or the cluster can't be reached.
    """
    maker = partial(make_runner, settings)
    if address == "local":  # says when a run is resumed that it leaves its cluster
        address = None
    return WorkersExecutor(maker, workers, address, trial_timeout, settings.most_packed) if workers else InlineExecutor(maker)


def make_runner(settings: RunnerSettings) -> Runner:
    """Load what trials need in this process."""
    for path in settings.plugins:
        import_plugin(path)
    from autopeft.training.runner import TrialRunner  # torch is needed where trials run, and that may not be here

    return TrialRunner(settings)
