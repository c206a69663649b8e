"""What this machine lets the process use: processors, memory, shared memory. Containers and job managers allow less than there is."""

import math
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path("/")
"""Where the files are that Linux describes itself in."""
_SHARED_MEMORY = Path("dev/shm")


@dataclass(frozen=True)
class Quota:
    """What control groups allow this process and its children, of cgroup version 1 or 2. None: they set no bound."""

    cores: float | None = None
    """Processors, fractions too: processor seconds a second."""
    memory_bytes: int | None = None
    """Memory of the group that leaves least."""
    free_bytes: int | None = None
    """What is left of that, with what the kernel can drop at once counted as free."""


def usable_cores() -> int:
    """Return how many processors this process may use: affinity and quotas counted, a fraction as one more."""
    import joblib

    quota = find_quota().cores
    cores = int(joblib.cpu_count())  # affinity, the outermost quota of a container, LOKY_MAX_CPU_COUNT
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def memory_bytes() -> int:
    """Return how much memory this process and its children may have."""
    limit = find_quota().memory_bytes
    return _physical_bytes() if limit is None else min(limit, _physical_bytes())


def free_bytes() -> int:
    """Return how much memory is free for this process and its children."""
    free = find_quota().free_bytes
    return _available_bytes() if free is None else min(free, _available_bytes())


def shared_memory_bytes() -> int | None:
    """Return the size of /dev/shm, in which Ray keeps what processes share; None on systems without."""
    path = ROOT / _SHARED_MEMORY
    return shutil.disk_usage(path).total if path.is_dir() else None


def hardware() -> dict[str, Any]:
    """Return what the driver runs on."""
    return {
        "platform": platform.platform(),
        "processor": platform.machine(),
        "n_cores": os.cpu_count(),
        "usable_cores": usable_cores(),
        "memory_bytes": memory_bytes(),
    }


def find_quota() -> Quota:
    """Return what the process's control groups allow, up to the outermost that can be seen from here."""
    cores, memory = [], []
    for folder in _groups("cpu"):
        match _numbers(folder / "cpu.max") or [*_numbers(folder / "cpu.cfs_quota_us"), *_numbers(folder / "cpu.cfs_period_us")]:
            case [quota, period] if 0 < quota < math.inf and period > 0:
                cores.append(quota / period)
    for folder in _groups("memory"):
        limit = next(iter(_numbers(folder / "memory.max") or _numbers(folder / "memory.limit_in_bytes")), math.inf)
        used = next(iter(_numbers(folder / "memory.current") or _numbers(folder / "memory.usage_in_bytes")), 0)
        if limit < _physical_bytes():  # version 1 says "no bound" with a number beyond any memory
            memory.append((int(limit - used) + _droppable_bytes(folder / "memory.stat"), int(limit)))
    if not memory:
        return Quota(min(cores, default=None))
    free, limit = min(memory)
    return Quota(min(cores, default=None), limit, max(0, min(free, limit)))


def _groups(controller: str) -> Iterator[Path]:
    """Yield the folders of the groups that this process is in as far as they say something of a controller, the innermost first."""
    mount = ROOT / "sys/fs/cgroup"
    for line in _text(ROOT / "proc/self/cgroup").splitlines():
        number, controllers, name = line.split(":", 2)
        if number == "0" and not controllers:
            top, files = mount, ("cpu.max", "memory.max")
        elif controller in controllers.split(","):
            top, files = mount / controller, ("cpu.cfs_quota_us", "memory.limit_in_bytes")
        else:
            continue
        inside = Path(*[part for part in Path(name).parts if part not in ("/", "..")])
        # In a container the group's name may be the host's, which leads nowhere here: the mount itself is then the container's group.
        for folder in (top / inside, *(top / parent for parent in inside.parents)):
            if any(file.startswith(controller) and (folder / file).is_file() for file in files):
                yield folder


def _numbers(path: Path) -> list[float]:
    """Return the numbers in a file, "max" as infinity; none if it can't be read."""
    try:
        return [math.inf if word == "max" else float(word) for word in _text(path).split()]
    except ValueError:
        return []


def _droppable_bytes(path: Path) -> int:
    """Return the memory of a group that holds file contents nobody has used lately."""
    fields = dict(line.split(maxsplit=1) for line in _text(path).splitlines() if " " in line)
    return int(fields.get("total_inactive_file") or fields.get("inactive_file") or 0)


def _physical_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _available_bytes() -> int:
    """Return the machine's free memory; on systems that don't say, half of what there is."""
    for line in _text(ROOT / "proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return _physical_bytes() // 2


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
