"""What this machine trains on, how precisely, and how much memory that takes."""

import ctypes
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch

from autopeft.errors import DeviceError

_CLEAR_REFS = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
_MEMORY = Path("/proc/meminfo")


@dataclass(frozen=True)
class Card:
    """A GPU that this process sees: NVIDIA's, or AMD's through ROCm, which torch speaks to by the same names."""

    name: str
    memory_bytes: int
    has_bfloat16: bool
    """Whether it multiplies bfloat16 natively."""


def pick_device(wanted: str = "auto") -> torch.device:
    """Return the device that is meant.

    Args:
        wanted: "cpu"; "cuda", the first GPU that this process sees, also through ROCm; "cuda:1", the second; "mps", Apple's; or "auto":
            "cuda" if there is one, else "cpu". MPS must be asked for, since it lacks operations that some models and methods use.

    Raises:
        DeviceError: It is not there.
    """
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(wanted)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("torch finds no Apple GPU here", value=wanted, remedy="Leave --device out.")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise DeviceError("torch finds no GPU here", value=wanted, remedy=_why_no_card())
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(f"a GPU must be one of the {torch.cuda.device_count()} that torch sees, counted from 0", value=wanted)
    return device


def cards() -> list[Card]:
    """Return the GPUs that this process sees, in torch's order."""
    return [_card(index) for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0)]


def card_names() -> tuple[str, ...]:
    """Return what the GPUs that this process sees are called in `visibility_variable`, in torch's order."""
    n = torch.cuda.device_count() if torch.cuda.is_available() else 0
    given = os.environ.get(visibility_variable()) or os.environ.get("CUDA_VISIBLE_DEVICES")  # which ROCm heeds where its own isn't set
    return tuple(given.split(",")[:n]) if given else tuple(map(str, range(n)))


def visibility_variable() -> str:
    """Return the name of the environment variable that says which GPUs a process sees."""
    return "HIP_VISIBLE_DEVICES" if torch.version.hip else "CUDA_VISIBLE_DEVICES"


def limit_memory(share: float, beside_bytes: int) -> None:
    """Let this process take no more than a share of its first GPU's memory, so that it takes none from those it shares the GPU with.

    Args:
        share: Of the GPU's memory.
        beside_bytes: What the process takes of it beside tensors, which torch doesn't count.

    Raises:
        DeviceError: The GPU can't be used.
    """
    if share >= 1 or not torch.cuda.is_available():
        return
    try:
        whole = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(max(share / 2, share - beside_bytes / whole), 0)
    except RuntimeError as error:
        raise DeviceError(f"the GPU can't be used: {error}") from None


def device_bytes(device: torch.device) -> int | None:
    """Return the memory of a GPU; None for other devices, which share the machine's."""
    return torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else None


def environment(device: torch.device) -> dict[str, str]:
    """Return where this process trains: node, device, name of the GPU, and which GPUs the process was given, as far as that is said."""
    found = {"node": platform.node(), "device": str(device)}
    if device.type == "cuda":
        found["device_name"] = torch.cuda.get_device_name(device)
    if (given := os.environ.get(visibility_variable())) is not None:
        found[visibility_variable()] = given
    return found


def _card(index: int) -> Card:
    properties = torch.cuda.get_device_properties(index)
    return Card(properties.name, properties.total_memory, has_bfloat16(torch.device("cuda", index)))


def _why_no_card() -> str:
    if not torch.backends.cuda.is_built() and not torch.version.hip:  # type: ignore[no-untyped-call]
        return f"This torch ({torch.__version__}) is built without CUDA and ROCm; pytorch.org/get-started says which one has it."
    if (hidden := os.environ.get(visibility_variable())) is not None:
        return f"{visibility_variable()} is {hidden!r}: unset it, or name a GPU that is there."
    return "Does nvidia-smi (or rocm-smi) show one? A driver that is too old for this torch hides it too."


def has_bfloat16(device: torch.device) -> bool:
    """Return whether the device multiplies bfloat16 natively; without that, autocast is slower than float32."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False


_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "BLAS_STATUS_ALLOC_FAILED")
"""What is said by errors of other types than torch's own: of MPS, of the allocator of the CPU, and of libraries on a GPU."""
_PANIC, _NO_OBJECT = "PanicException", "PyObject pointer is null"
"""What libraries in Rust raise, which is no `Exception`, and what it says where Python had no memory for an object."""
_FAILED_DEVICE = (
    "CUDA error",
    "HIP error",
    "CUDA driver error",
    "device-side assert",
    "illegal memory access",
    "CUDNN_STATUS_",
    "miopenStatus",
    "BLAS_STATUS_",  # cuBLAS's and hipBLAS's
)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that the device or the machine has no memory left."""
    return (
        isinstance(error, torch.OutOfMemoryError | MemoryError)
        or (isinstance(error, RuntimeError) and any(text in str(error) for text in _OUT_OF_MEMORY))
        or (type(error).__name__ == _PANIC and _NO_OBJECT in str(error))
    )


def has_failed_device(error: BaseException) -> bool:
    """Return whether an error says that the GPU has failed this process: from then on every call fails, and only a new process helps.

    So it is after an assertion or an access to foreign memory on the GPU, and with a GPU that is lost. What fails in consequence, such as
    taking modules off the model again, hides the first error.
    """
    return any(
        isinstance(one, RuntimeError) and not is_out_of_memory(one) and any(text in str(one) for text in _FAILED_DEVICE)
        for one in _chain(error)
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__context__


def make_current(device: torch.device) -> None:
    """Have what this thread does on a GPU without naming one be done on this one; for each new thread torch takes the first."""
    if device.type == "cuda":
        torch.cuda.set_device(device.index or 0)  # which takes no device without a number


def own_draws(device: torch.device) -> AbstractContextManager[None]:
    """Return a context after which torch's generators go on as if nothing had been drawn in it: the processor's, and the device's.

    Those of other GPUs are left alone: to look at one takes some of its memory.
    """
    return torch.random.fork_rng([] if device.type == "cpu" else [device.index or 0], device_type=device.type)


def new_stream(device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which this thread's work on a GPU waits for no other thread's; elsewhere it changes nothing."""
    if device.type == "cuda":
        return torch.cuda.stream(torch.cuda.Stream(device))  # type: ignore[no-untyped-call]
    return nullcontext()


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what this thread has asked of it."""
    if device.type == "cuda":
        torch.cuda.current_stream(device).synchronize()
    elif device.type == "mps":
        torch.mps.synchronize()


def release_memory(device: torch.device) -> None:
    """Give back to the system what was freed but kept for reuse."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
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
    """Return the largest memory in use since `reset_peak_memory`: allocated on the GPU, or resident in this process.

    Apple's GPU has no memory of its own and keeps no mark of the largest use: what is there is counted with the process.
    """
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
    """Return the memory that this process may yet take, of the GPU or of the machine; without Linux on the latter, as much as it has."""
    if device.type == "cuda":
        free, whole = torch.cuda.mem_get_info(device)
        share = torch.cuda.get_per_process_memory_fraction(device.index or 0)
        return min(int(free), int(share * whole) - used_bytes(device))
    if _MEMORY.exists():
        return int(_fields(_MEMORY)["MemAvailable"].split()[0]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _fields(path: Path) -> dict[str, str]:
    return dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
