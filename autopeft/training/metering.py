"""What trials cost in time and memory, while one or several of them are under way in a process.

A second in which n trials are under way counts as 1/n of a second for each: their sum is what the process spent. Memory can't be
divided: a trial's peak is that of all that were under way with it.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from autopeft.training.device import peak_memory_bytes, reset_peak_memory


class Meter:
    """The clock and the high-water mark of one process.

    Args:
        device: What trials run on.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._lock = threading.RLock()
        self._usages: list[Usage] = []
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    @contextmanager
    def running(self) -> Iterator["Usage"]:
        """Count for a trial within this context."""
        usage = Usage(self)
        with self._lock:
            self.divide()
            self.read_peak()
            reset_peak_memory(self._device)
            self._usages.append(usage)
        try:
            yield usage
        finally:
            with self._lock:
                self.divide()
                self.read_peak()
                self._usages.remove(usage)

    def divide(self) -> None:
        """Divide the time since the latest division among the trials under way."""
        with self._lock:
            wall, cpu = time.perf_counter(), time.process_time()
            for usage in self._usages:
                usage.seconds += (wall - self._wall) / len(self._usages)
                usage.cpu_seconds += (cpu - self._cpu) / len(self._usages)
            self._wall, self._cpu = wall, cpu

    def read_peak(self) -> None:
        """Hold the largest memory since the latest trial began against all that are under way."""
        if self._usages:
            peak = peak_memory_bytes(self._device)
            for usage in self._usages:
                usage.peak_bytes = max(usage.peak_bytes, peak)


class Usage:
    """What one trial has cost so far.

    Args:
        meter: What counts.
    """

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self.seconds = 0.0
        """Wall-clock seconds, as of the latest division."""
        self.cpu_seconds = 0.0
        """Processor seconds of all threads, as of the latest division."""
        self.peak_bytes = 0
        """Largest memory in use, as of the latest look."""

    def seconds_now(self) -> float:
        """Return the wall-clock seconds up to now."""
        self._meter.divide()
        return self.seconds

    def peak_now(self) -> int:
        """Return the largest memory in use up to now."""
        self._meter.read_peak()
        return self.peak_bytes
