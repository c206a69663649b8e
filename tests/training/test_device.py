"""Devices that are not there, by fakes of torch's functions."""

from types import SimpleNamespace

import pytest
import torch

from autopeft.errors import DeviceError
from autopeft.training import device as devices
from autopeft.training.device import card_names, cards, has_failed_device, is_out_of_memory, pick_device


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
    monkeypatch.setenv("HIP_VISIBLE_DEVICES", "3,2")
    assert card_names() == ("3", "2")


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
        (RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB)"), True, False),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes"), True, False),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False, False),
        (ValueError("CUDA error: is what this text is about"), False, False),
    ],
    ids=lambda value: str(value)[:40],
)
def test_errors_of_a_device_are_distinguished(error: Exception, no_room: bool, failed: bool) -> None:
    assert (is_out_of_memory(error), has_failed_device(error)) == (no_room, failed)


def test_an_error_of_cleaning_up_doesn_t_hide_the_device_s() -> None:
    hidden = KeyError("0.weight")
    hidden.__context__ = RuntimeError("CUDA error: unspecified launch failure")
    assert has_failed_device(hidden)
