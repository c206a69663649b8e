from collections.abc import Callable, Mapping
from pathlib import Path

import joblib
import pytest

from autopeft import machine
from autopeft.machine import find_quota, free_bytes, memory_bytes, usable_cores

GIB = 2**30
V2 = "0::/user.slice/run-1.scope\n"
V1 = "9:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n1:name=systemd:/x\n0::/x\n"
OF_4_GIB = {"memory.max": str(4 * GIB), "memory.current": str(3 * GIB), "memory.stat": f"anon 1\ninactive_file {GIB}\n"}


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Mapping[str, str]], None]:
    """Write what Linux says of itself, on a machine of 64 cores and 64 GiB of which 50 are free."""
    monkeypatch.setattr(machine, "ROOT", tmp_path)
    monkeypatch.setattr(machine, "_physical_bytes", lambda: 64 * GIB)
    monkeypatch.setattr(joblib, "cpu_count", lambda: 64)

    def write(content: Mapping[str, str]) -> None:
        for name, text in {"proc/meminfo": f"MemTotal: 1 kB\nMemAvailable: {50 * GIB // 1024} kB\n", **content}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return write


@pytest.mark.parametrize(
    ("content", "cores", "memory", "free"),
    [
        ({}, 64, 64, 50),
        ({"proc/self/cgroup": "0::/\n"}, 64, 64, 50),
        (  # systemd-run -p CPUQuota=100% -p MemoryMax=4G, inside a slice that allows more
            {
                "proc/self/cgroup": V2,
                "sys/fs/cgroup/user.slice/cpu.max": "800000 100000\n",
                "sys/fs/cgroup/user.slice/memory.max": "max\n",
                "sys/fs/cgroup/user.slice/run-1.scope/cpu.max": "100000 100000\n",
                **{f"sys/fs/cgroup/user.slice/run-1.scope/{name}": text for name, text in OF_4_GIB.items()},
            },
            *(1, 4, 2),
        ),
        (  # a container that knows its group by the host's name, which leads nowhere inside
            {"proc/self/cgroup": V2, "sys/fs/cgroup/cpu.max": "150000 100000\n", **{f"sys/fs/cgroup/{k}": v for k, v in OF_4_GIB.items()}},
            *(2, 4, 2),
        ),
        (
            {
                "proc/self/cgroup": V1,
                "sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us": "300000\n",
                "sys/fs/cgroup/cpu/docker/abc/cpu.cfs_period_us": "100000\n",
                "sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": f"{8 * GIB}\n",
                "sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes": f"{GIB}\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            },
            *(3, 8, 7),
        ),
        (
            {
                "proc/self/cgroup": V1,
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            },
            *(64, 64, 50),
        ),
        ({"proc/self/cgroup": V2, "sys/fs/cgroup/cpu.max": "what?", "sys/fs/cgroup/memory.max": ""}, 64, 64, 50),
    ],
    ids=["none", "the root", "systemd", "container", "version 1", "version 1 without bounds", "unreadable"],
)
def test_control_groups_bound_what_is_there(
    files: Callable[[Mapping[str, str]], None], content: Mapping[str, str], cores: int, memory: int, free: int
) -> None:
    files(content)
    assert (usable_cores(), memory_bytes(), free_bytes()) == (cores, memory * GIB, free * GIB)


def test_a_fraction_of_a_core_is_one(files: Callable[[Mapping[str, str]], None]) -> None:
    files({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "20000 100000\n"})
    assert find_quota().cores == 0.2
    assert usable_cores() == 1
