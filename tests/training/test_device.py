"""Devices that are not there, by fakes of torch's functions."""

from types import SimpleNamespace

import pytest
import torch

from autopeft.errors import DeviceError
from autopeft.training import device as devices
from autopeft.training.device import (
    card_names,
    cards,
    free_bytes,
    has_failed_device,
    is_out_of_memory,
    limit_memory,
    make_current,
    own_draws,
    pick_device,
)


@pytest.fixture
def two_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    properties = SimpleNamespace(name="NVIDIA T4", total_memory=16 * 2**30, major=7)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    monkeypatch.setattr(devices, "has_bfloat16", lambda _: False)


@pytest.mark.usefixtures("two_cards")
@pytest.mark.parametrize(("wanted", "found"), [("auto", "cuda"), ("cuda", "cuda"), ("cuda:1", "cuda:1"), ("cpu", "cpu")])
def test_a_device_that_is_there(wanted: str, found: str) -> None:
    assert pick_device(wanted) == torch.device(found)


@pytest.mark.usefixtures("two_cards")
def test_the_cards_are_named_as_the_process_may_name_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert card_names() == ("0", "1")
    assert [card.name for card in cards()] == ["NVIDIA T4", "NVIDIA T4"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7,-1,6")  # what follows a number that is none is hidden
    assert card_names() == ("5", "7")
    monkeypatch.setattr(torch.version, "hip", "6.4")
    monkeypatch.delenv("HIP_VISIBLE_DEVICES", raising=False)
    assert card_names() == ("5", "7")  # ROCm heeds CUDA's variable where its own isn't set
    monkeypatch.setenv("HIP_VISIBLE_DEVICES", "3,2")
    assert card_names() == ("3", "2")


@pytest.mark.parametrize(("device", "number"), [("cuda", 0), ("cuda:1", 1)])
def test_a_thread_s_own_device_is_set_by_its_number(monkeypatch: pytest.MonkeyPatch, device: str, number: int) -> None:
    """torch.cuda.set_device is torch's own here, which refuses a device without one."""
    chosen: list[int] = []
    monkeypatch.setattr(torch._C, "_cuda_setDevice", chosen.append, raising=False)
    make_current(torch.device(device))
    make_current(torch.device("cpu"))
    assert chosen == [number]


@pytest.mark.usefixtures("two_cards")
@pytest.mark.parametrize(("device", "looked_at"), [("cpu", []), ("cuda", [0]), ("cuda:1", [1])])
def test_no_generator_of_another_card_is_looked_at(monkeypatch: pytest.MonkeyPatch, device: str, looked_at: list[int]) -> None:
    """That would start a context there, in every worker on processors too."""
    seen: list[int] = []
    restored: list[tuple[str, int]] = []
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda number: seen.append(number) or f"state {number}")
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, number: restored.append((state, number)))
    before = torch.get_rng_state()
    with own_draws(torch.device(device)):
        torch.rand(1)
    assert torch.equal(torch.get_rng_state(), before)
    assert (seen, restored) == (looked_at, [(f"state {number}", number) for number in looked_at])


@pytest.mark.usefixtures("two_cards")
def test_a_process_that_shares_a_card_keeps_to_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what it takes there beside tensors; and what is free beyond its share is not free for it."""
    gib, limits = 2**30, [1.0]
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda share, device: limits.append(share))
    monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", lambda device: limits[-1])
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (14 * gib, 16 * gib))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: gib)
    assert free_bytes(torch.device("cuda")) == 14 * gib
    limit_memory(0.25, gib)
    assert limits[-1] == 3 / 16
    assert free_bytes(torch.device("cuda")) == 2 * gib

    def lost(share: float, device: int) -> None:
        raise torch.AcceleratorError("CUDA error: no CUDA-capable device is detected")

    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lost)
    with pytest.raises(DeviceError, match="can't be used: CUDA error: no CUDA-capable"):
        limit_memory(0.25, gib)


@pytest.mark.usefixtures("two_cards")
def test_a_card_beyond_the_last() -> None:
    with pytest.raises(DeviceError, match=r"one of the 2 that torch sees, counted from 0 \(got 'cuda:2'\)"):
        pick_device("cuda:2")


@pytest.mark.parametrize(
    ("built", "visible", "remedy"),
    [(False, None, "built without CUDA and ROCm"), (True, "", "CUDA_VISIBLE_DEVICES is ''"), (True, None, "nvidia-smi")],
)
def test_no_card_is_an_error_with_its_likely_reason(monkeypatch: pytest.MonkeyPatch, built: bool, visible: str | None, remedy: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: built)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert pick_device() == torch.device("cpu")
    assert cards() == []
    with pytest.raises(DeviceError, match=f"finds no GPU here.*{remedy}"):
        pick_device("cuda")


def test_apple_s_gpu_must_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert (pick_device(), pick_device("mps")) == (torch.device("cpu"), torch.device("mps"))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="no Apple GPU"):
        pick_device("mps")


@pytest.mark.parametrize(
    ("error", "no_room", "failed"),
    [
        (torch.AcceleratorError("CUDA error: device-side assert triggered"), False, True),
        (torch.AcceleratorError("CUDA error: an illegal memory access was encountered"), False, True),
        (RuntimeError("HIP error: the operation cannot be performed in the present state"), False, True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), False, True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True, False),
        (torch.AcceleratorError("CUDA error: out of memory"), True, False),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"), True, False),
        (RuntimeError("CUDA error: HIPBLAS_STATUS_ALLOC_FAILED when calling hipblasCreate(handle)"), True, False),
        (RuntimeError("miopenStatusInternalError"), False, True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB)"), True, False),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes"), True, False),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False, False),
        (ValueError("CUDA error: is what this text is about"), False, False),
        (type("PanicException", (BaseException,), {})("PyObject pointer is null"), True, False),
        (type("PanicException", (BaseException,), {})("called `Option::unwrap()` on a `None` value"), False, False),
    ],
    ids=lambda value: str(value)[:40],
)
def test_errors_of_a_device_are_distinguished(error: BaseException, no_room: bool, failed: bool) -> None:
    assert (is_out_of_memory(error), has_failed_device(error)) == (no_room, failed)


def test_an_error_of_cleaning_up_doesn_t_hide_the_device_s() -> None:
    hidden = KeyError("0.weight")
    hidden.__context__ = RuntimeError("CUDA error: unspecified launch failure")
    assert has_failed_device(hidden)
