"""What workers take of this machine, by fakes of it."""

import os
from dataclasses import replace
from typing import Any

import pytest
import torch

from autopeft.errors import DeviceError, InvalidInputError
from autopeft.executors.workers import Demand
from autopeft.loops import workers
from autopeft.loops.workers import demand_here
from autopeft.request import SearchRequest

GB = 10**9
REQUEST = SearchRequest(task="demo")


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """8 usable cores, 64 GB free, no GPU."""
    monkeypatch.setattr(workers, "usable_cores", lambda: 8)
    monkeypatch.setattr(workers, "free_bytes", lambda: 64 * GB)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.fixture
def four_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)


def demand(**asked: Any) -> Demand:
    return demand_here(replace(REQUEST, **asked), worker_bytes=2 * GB)


@pytest.mark.parametrize(
    ("asked", "has_ray", "inline"),
    [
        ({}, True, False),
        ({}, False, True),
        ({"workers": 0}, True, True),
        ({"workers": 1}, False, False),
        ({"address": "auto"}, False, False),
        ({"trial_timeout": 60.0}, False, False),
        ({"trials_per_gpu": 2}, False, False),
    ],
)
def test_without_ray_trials_run_here_unless_workers_are_asked_for(
    asked: dict[str, Any], has_ray: bool, inline: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "find_spec", lambda name: object() if has_ray else None)
    assert workers.runs_inline(replace(REQUEST, **asked)) == inline


def test_a_worker_is_started_for_each_usable_core_as_far_as_memory_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert demand() == Demand(8, "cpu", n_cpus=8)
    monkeypatch.setattr(workers, "free_bytes", lambda: 9 * GB)
    assert demand().n_workers == 4
    assert demand(workers=12) == Demand(12, "cpu", n_cpus=12)
    monkeypatch.setattr(workers, "free_bytes", lambda: GB)
    assert demand().n_workers == 1


def test_affinity_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3}, raising=False)
    assert demand_here(replace(REQUEST, device="cpu")).n_workers == 1


@pytest.mark.usefixtures("four_cards")
@pytest.mark.parametrize(
    ("asked", "n_workers", "share", "cards"),
    [
        ({}, None, 1.0, "0123"),
        ({"device": "cuda:2"}, None, 1.0, "2"),
        ({"workers": 3}, 3, 1.0, "0123"),
        ({"workers": 10}, 10, 0.3333, "0123"),
        ({"gpus_per_trial": 0.25}, None, 0.25, "0123"),
        ({"trials_per_gpu": 3}, None, 0.3333, "0123"),
        ({"trials_per_gpu": "auto"}, None, None, "0123"),
        ({"trials_per_gpu": "2", "workers": 8}, 8, 0.5, "0123"),
    ],
    ids=str,
)
def test_a_worker_takes_a_gpu_or_a_share_of_one(asked: dict[str, Any], n_workers: int | None, share: float | None, cards: str) -> None:
    found = demand(**asked)
    assert (found.n_workers, found.device, found.gpus_per_worker, found.cards) == (n_workers, "cuda", share, tuple(cards))
    assert found.n_cpus >= 8


@pytest.mark.usefixtures("four_cards")
def test_the_gpus_that_the_process_may_use_are_the_ones_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7,6,5,4")
    assert demand().cards == ("7", "6", "5", "4")
    assert demand(device="cuda:1").cards == ("6",)
    assert demand(device="cpu") == Demand(8, "cpu", n_cpus=8)
    with pytest.raises(InvalidInputError, match="4 GPUs can hold 8 workers"):
        demand(gpus_per_trial=0.5, workers=9)


@pytest.mark.parametrize("asked", [{"device": "cuda"}, {"gpus_per_trial": 0.5}, {"trials_per_gpu": "auto"}], ids=str)
def test_gpus_that_are_not_there(asked: dict[str, Any]) -> None:
    with pytest.raises(DeviceError, match="torch finds no GPU here"):
        demand(**asked)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"device": "gpu"}, "--device must be auto, cpu, cuda, mps"),
        ({"device": "cuda:1", "address": "auto"}, "can't name a device of this machine on a cluster"),
        ({"gpus_per_trial": 2.0}, "--gpus-per-trial must be more than 0 and at most 1"),
        ({"trials_per_gpu": "0"}, "--trials-per-gpu must be a whole number"),
        ({"trials_per_gpu": 2, "gpus_per_trial": 0.5}, "say the same"),
        ({"trials_per_gpu": 2, "device": "cpu"}, "--trials-per-gpu needs a GPU"),
        ({"trials_per_gpu": "auto", "workers": 2}, "finds the number of workers"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_contradicts_itself_is_an_error(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        replace(REQUEST, **asked)


def test_a_run_leaves_its_gpus() -> None:
    shared = replace(REQUEST, trials_per_gpu=2)
    assert shared.changed({"device": "cpu"}).trials_per_gpu is None
