"""What this machine trains on, how precisely, and how much memory that takes."""

import ctypes
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch

_CLEAR_REFS = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
_MEMORY = Path("/proc/meminfo")


def pick_device() -> torch.device:
    """Return the GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def has_bfloat16(device: torch.device) -> bool:
    """Return whether the device multiplies bfloat16 natively; without that, autocast is slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that the device or the machine has no memory left."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


def new_stream(device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which this thread's work on a GPU waits for no other thread's; elsewhere it changes nothing."""
    if device.type == "cuda":
        return torch.cuda.stream(torch.cuda.Stream(device))  # type: ignore[no-untyped-call]
    return nullcontext()


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what this thread has asked of it."""
    if device.type == "cuda":
        torch.cuda.current_stream(device).synchronize()


def release_memory(device: torch.device) -> None:
    """Give back to the system what was freed but kept for reuse."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    if sys.platform == "linux" and hasattr(ctypes.CDLL(None), "malloc_trim"):
        # Batches differ in length, and glibc keeps their freed tensors in pieces: a worker would grow by a third over twenty trials.
        ctypes.CDLL(None).malloc_trim(0)


def reset_peak_memory(device: torch.device) -> None:
    """Start a new measurement of `peak_memory_bytes`, from what is in use."""
    release_memory(device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif _CLEAR_REFS.exists():
        try:
            _CLEAR_REFS.write_text("5")  # resets the kernel's high-water mark of resident memory
        except OSError:  # some containers forbid it; the mark is then the process's own, since its start
            return


def peak_memory_bytes(device: torch.device) -> int:
    """Return the largest memory in use since `reset_peak_memory`: allocated on the GPU, or resident in this process."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if _STATUS.exists():
        return int(_fields(_STATUS)["VmHWM"].split()[0]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def used_bytes(device: torch.device) -> int:
    """Return the memory in use now: kept by this process on the GPU, or resident in it."""
    if device.type == "cuda":
        return int(torch.cuda.memory_reserved(device))
    return int(_fields(_STATUS)["VmRSS"].split()[0]) * 1024 if _STATUS.exists() else 0


def free_bytes(device: torch.device) -> int:
    """Return the memory that nobody uses yet, on the GPU or in the machine; without Linux on the latter, as much as it has."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if _MEMORY.exists():
        return int(_fields(_MEMORY)["MemAvailable"].split()[0]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _fields(path: Path) -> dict[str, str]:
    return dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
