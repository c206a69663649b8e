"""What `autopeft doctor` says of machines other than this one."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from autopeft import machine
from autopeft.cli import doctor
from tests.cli.conftest import Autopeft

GIB = 2**30


@pytest.fixture(autouse=True)
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container of 1 core and 4 GiB, with Docker's default of shared memory."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(machine, "find_quota", lambda: machine.Quota(1.0, 4 * GIB, int(1.2 * GIB)))
    monkeypatch.setattr(machine, "shared_memory_bytes", lambda: 64 * 2**20)


def test_bounds_of_a_container_are_shown_with_what_to_do(autopeft: Autopeft) -> None:
    out = autopeft("doctor").out
    assert f"1 usable of {os.cpu_count()}; control groups allow 1" in out
    assert "1.2 GiB free of 4.0 within the control group's bound" in out
    assert "-> A worker takes 0.6 GiB" in out
    assert "0.06 GiB\n                 -> Ray will use the disk: docker run --shm-size=2g" in out
    assert "1 worker on cpu" in out


def test_gpus_are_listed_with_what_would_be_started(autopeft: Autopeft, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(
        "autopeft.training.device._card", lambda _: SimpleNamespace(name="Tesla T4", memory_bytes=15 * GIB, has_bfloat16=False)
    )
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    out = autopeft("doctor").out
    assert "cuda:1           Tesla T4, 15.0 GiB, no bf16" in out
    assert "CUDA_VISIBLE_DEVICES '4,5'" in out
    assert "2 workers, one a GPU" in out


@pytest.mark.parametrize(
    ("driver", "visible", "remedy"),
    [
        ("/proc/driver/nvidia/version", None, "is built without CUDA"),
        ("/dev/kfd", None, "is built without ROCm"),
        ("/proc/driver/nvidia/version", "", "CUDA_VISIBLE_DEVICES hides what is there"),
        ("", None, ""),
    ],
)
def test_a_gpu_that_torch_can_t_use_is_said(monkeypatch: pytest.MonkeyPatch, driver: str, visible: str | None, remedy: str) -> None:
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: False)
    monkeypatch.setattr(Path, "exists", lambda self: str(self) == driver)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = doctor._why_no_card()
    assert remedy in found
    assert bool(remedy) == bool(found)
