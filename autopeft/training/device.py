"""What this machine trains on, how precisely, and how much memory that takes."""

import ctypes
import sys
import time
from pathlib import Path

import torch

_CLEAR_REFS = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


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


class Clock:
    """What a stretch of work has cost since the clock was made."""

    def __init__(self, device: torch.device) -> None:
        self._has_gpu = device.type == "cuda"
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    @property
    def seconds(self) -> float:
        """Wall-clock seconds."""
        return time.perf_counter() - self._wall

    @property
    def cpu_seconds(self) -> float:
        """Processor seconds of all threads of this process."""
        return time.process_time() - self._cpu

    @property
    def gpu_seconds(self) -> float:
        """Wall-clock seconds with a GPU at hand; 0 without one."""
        return self.seconds if self._has_gpu else 0.0


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
        fields = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines() if ":" in line)
        return int(fields["VmHWM"].split()[0]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
