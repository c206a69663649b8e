"""Starts what runs trials: worker processes, or this one."""

import math
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from autopeft.errors import DeviceError, InvalidInputError, UnavailableError
from autopeft.executors.base import Executor, Runner
from autopeft.executors.inline import InlineExecutor
from autopeft.executors.workers import Demand, WorkersExecutor
from autopeft.machine import free_bytes, usable_cores
from autopeft.plugins import import_plugin
from autopeft.request import SearchRequest
from autopeft.training.backbone import BackboneSource
from autopeft.training.measurement import RunnerSettings
from autopeft.words import plural

WORKER_BYTES = 600_000_000
"""What a worker process takes on a CPU before it holds a model: the interpreter and its libraries."""
COPIES_OF_WEIGHTS = 4
"""What a worker may need for a model and a trial on it, as a multiple of the weights: full fine-tuning has gradients and two moments."""


def runs_inline(request: SearchRequest) -> bool:
    """Return whether trials run in this process: that is asked for, or nothing that takes workers is and there is no Ray to start them."""
    if request.workers is not None or request.address is not None or request.trial_timeout is not None or _shares_cards(request):
        return request.workers == 0
    return find_spec("ray") is None


def n_threads(request: SearchRequest) -> int | None:
    """Return how many threads torch gets where trials run: one in a worker process, in this process as many as it likes."""
    return None if runs_inline(request) else 1


def start_executor(settings: RunnerSettings, request: SearchRequest, trial_timeout: float | None = None) -> Executor:
    """Start it; the caller closes it.

    Args:
        settings: What every worker loads.
        request: Says how many processes, where, and on what.
        trial_timeout: Seconds after which a worker gives a trial up; trials in this process can't be.

    Raises:
        DeviceError: The device is not there.
        UnavailableError: Ray can't start or the cluster can't be reached.
    """
    if runs_inline(request):
        return InlineExecutor(partial(make_runner, settings), request.device)
    if request.address not in (None, "local"):  # "local" says when a run is resumed that it leaves its cluster
        demand = Demand(request.workers, _wanted_device(request), request.gpu_share, request.address)
    else:
        demand = demand_here(request, _worker_bytes(settings.backbone))
        if not demand.cards:  # states that find no place are computed anew, which gives the same numbers
            spare = free_bytes() // demand.n_cpus - _worker_bytes(settings.backbone)
            settings = replace(settings, cache_bytes=max(0, min(settings.cache_bytes, spare)))
    return WorkersExecutor(partial(make_runner, settings), demand, trial_timeout, settings.most_packed)


def demand_here(request: SearchRequest, worker_bytes: int = WORKER_BYTES) -> Demand:
    """Return what workers are to take of this machine: a GPU each or a share of one, else a usable core each as far as memory goes.

    Args:
        request: What the user asks for.
        worker_bytes: Memory that a worker needs on a CPU.

    Raises:
        DeviceError: The device is not there.
        InvalidInputError: So many workers don't find room on the GPUs.
    """
    from autopeft.training.device import card_names, pick_device, visibility_variable  # torch takes a second to import

    device = pick_device(_wanted_device(request))
    if device.type != "cuda":
        n_by_memory = 1 if device.type == "mps" else max(1, free_bytes() // worker_bytes)
        n_workers = request.workers or min(usable_cores(), n_by_memory)
        return Demand(n_workers, device.type, n_cpus=n_workers)
    cards = card_names() if device.index is None else (card_names()[device.index],)
    share = request.gpu_share
    if request.workers is not None and not _shares_cards(request):
        share = math.floor(10_000 / math.ceil(request.workers / len(cards))) / 10_000
    n_places = len(cards) * (1 if share is None else math.floor(1 / share + 1e-3))
    if (request.workers or 0) > n_places:
        raise InvalidInputError(
            f"{plural(len(cards), 'GPU')} can hold {plural(n_places, 'worker')} of {share:g} of a GPU each",
            value=request.workers,
            remedy="Ask for fewer --workers, or let more share a GPU.",
        )
    return Demand(request.workers, "cuda", share, None, max(usable_cores(), n_places), cards, visibility_variable())


def _shares_cards(request: SearchRequest) -> bool:
    """Return whether the user says how trials share a GPU."""
    return request.gpus_per_trial is not None or request.trials_per_gpu is not None


def _wanted_device(request: SearchRequest) -> str:
    return "cuda" if request.device == "auto" and _shares_cards(request) else request.device


def _worker_bytes(backbone: BackboneSource) -> int:
    """Return how much memory a worker may need on a CPU."""
    return WORKER_BYTES + COPIES_OF_WEIGHTS * sum(path.stat().st_size for path in Path(backbone.path).glob("*.safetensors"))


def make_runner(settings: RunnerSettings, device: str | None = None) -> Runner:
    """Load what trials need in this process.

    Args:
        settings: What to load.
        device: What to train on; None: the settings' own.

    Raises:
        DeviceError: The device is not there, or has failed.
        UnavailableError: The model can't be loaded, or finds no room.
    """
    for path in settings.plugins:
        import_plugin(path)
    from autopeft.training.device import has_failed_device, is_out_of_memory  # torch is needed where trials run, which may not be here
    from autopeft.training.runner import TrialRunner

    try:
        return TrialRunner(settings if device is None else replace(settings, device=device))
    except Exception as error:
        if has_failed_device(error):
            raise DeviceError(f"the device {device or settings.device} has failed: {error}") from None
        if is_out_of_memory(error):
            raise UnavailableError(f"the model finds no room in memory: {error}", remedy="Let fewer workers share it.") from None
        raise
