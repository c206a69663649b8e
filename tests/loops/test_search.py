import asyncio
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from autopeft.errors import AutopeftError
from autopeft.executors.base import Executor
from autopeft.loops import planning, pool
from autopeft.loops import search as engine
from autopeft.loops.pool import MAX_RETRIES
from autopeft.loops.workers import start_executor
from autopeft.request import SearchRequest
from autopeft.study.directory import RunDirectory
from autopeft.study.reader import StudyReader
from autopeft.study.record import front
from autopeft.study.study import Study
from autopeft.training import runner
from autopeft.training.measurement import Assignment, BackboneFacts, Outcome
from tests.loops.searches import Log, records


def test_a_search_leaves_a_whole_run(request_: SearchRequest) -> None:
    log = Log()
    run = engine.search(request_, log, {"trials": "flag"}, "autopeft search ...")
    assert [record.number for record in log.records] == list(range(6))
    assert {record.state for record in log.records} == {"complete"}
    settings = run.settings()
    assert settings["settings"]["trials"] == {"value": 6, "source": "flag"}
    assert settings["settings"]["sampler"] == {"value": "autopeft", "source": "default"}
    assert settings["budget"]["epochs"] == 1
    lines = [json.loads(line) for line in (run.path / "trials.jsonl").read_text().splitlines()]
    assert [line["trial"] for line in lines] == list(range(6))
    for record in log.records:
        folder = run.trial_path(record.number)
        assert json.loads((folder / "configuration.json").read_text()) == record.configuration.to_dict()
        assert len((folder / "curve.jsonl").read_text().splitlines()) == 1
        assert (run.adapter_path(record.number) / "adapter.safetensors").is_file()


def test_rungs_let_only_the_best_go_on(request_: SearchRequest, tmp_path: Path) -> None:
    request_ = replace(request_, trials=9, epochs=2, sampler="random", rungs=(0.2, 0.5), reduction=3.0)
    whole = engine.search(replace(request_, out=str(tmp_path / "whole")), Log())
    reached = [len(record.rungs) + (record.state == "complete") for record in records(whole)]
    # More than one in three goes on where a better one comes later; that is the price of never waiting.
    assert len(reached) == 9
    assert 3 <= sum(n > 1 for n in reached) < 9
    assert 1 <= reached.count(3) < sum(n > 1 for n in reached)
    complete = [record for record in records(whole) if record.state == "complete"]
    assert {record.state for record in records(whole)} == {"complete", "stopped"}
    assert {record.number for record in front(records(whole), StudyReader.open(whole).objectives)} <= {record.number for record in complete}
    assert not any(record.metrics or record.values for record in records(whole) if record.state == "stopped")
    assert not list(whole.path.rglob("paused-*"))

    free = engine.search(replace(request_, out=str(tmp_path / "free"), rungs=()), Log())
    same = next(record for record in records(free) if record.number == complete[0].number)
    assert same.metrics == complete[0].metrics

    # Stopped in the middle, where some wait, and again right after one was let go on.
    with pytest.raises(KeyboardInterrupt):
        engine.search(request_, Log(stop_after=4))
    with pytest.raises(KeyboardInterrupt):
        engine.resume(Path(str(request_.out)), Log(stop_after=3))
    assert records(engine.resume(Path(str(request_.out)), Log())) == records(whole)


@pytest.mark.parametrize("trials", [1, 2])
def test_of_too_few_trials_to_choose_from_the_best_goes_on(request_: SearchRequest, trials: int) -> None:
    objectives = ("accuracy", "trainable_parameters", "latency_seconds")
    request = replace(request_, trials=trials, epochs=2, sampler="random", rungs=(0.3, 0.6), objectives=objectives)
    run = engine.search(request, Log())
    assert sorted(record.state for record in records(run)) == ["complete", "stopped"][:trials]
    lines = [json.loads(line, parse_constant=pytest.fail) for line in (run.path / "trials.jsonl").read_text().splitlines()]
    assert {rung["values"]["latency_seconds"] for line in lines for rung in line["rungs"]} == {None}  # it is measured in the end


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::FutureWarning")
def test_workers_train_the_same_trials(request_: SearchRequest, tmp_path: Path, ray_address: str) -> None:
    import ray

    inline = engine.search(replace(request_, sampler="random", out=str(tmp_path / "inline")), Log())

    async def in_a_notebook() -> RunDirectory:  # where an event loop is running
        return engine.search(replace(request_, sampler="random", workers=2, address=ray_address), Log())

    workers = asyncio.run(in_a_notebook())
    assert not ray.is_initialized()
    assert [record.configuration for record in records(workers)] == [record.configuration for record in records(inline)]
    for one, other in zip(records(workers), records(inline), strict=True):
        assert one.metrics == pytest.approx(other.metrics, abs=1e-4)


def test_four_objectives_and_bounds(request_: SearchRequest) -> None:
    """What is known before training is what the trials measure, and the saved adapter is as large as was said."""
    objectives = ("accuracy", "adapter_bytes", "train_seconds", "latency_seconds")
    request = replace(request_, objectives=objectives, max_params="10%", max_train_seconds=1e-6, sampler="autopeft", trials=4)
    log = Log()
    run = engine.search(request, log)
    settings = run.settings()
    assert [entry["name"] for entry in settings["objectives"]] == list(objectives)
    bound = settings["backbone_parameters"] / 10
    assert settings["constraints"] == [{"name": "trainable_parameters", "upper": bound}, {"name": "train_seconds", "upper": 1e-6}]
    for record in log.records:
        assert record.exceeds == ("train_seconds",)
        assert record.trainable_parameters is not None
        assert record.trainable_parameters <= bound
        assert record.values["latency_seconds"] > 0
        content = (run.adapter_path(record.number) / "adapter.safetensors").read_bytes()
        header_bytes = 8 + int.from_bytes(content[:8], "little")
        assert record.values["adapter_bytes"] == len(content) - header_bytes


def test_trials_that_share_a_worker_are_those_of_a_search_one_at_a_time(request_: SearchRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "has_bfloat16", lambda device: False)
    asked = replace(request_, sampler="random", trials=6, epochs=2, rungs=(0.5,))
    one, several = (engine.search(replace(asked, pack=pack, out=f"{request_.out}-{pack}"), Log()) for pack in (1, 3))
    assert several.settings()["pack"] == 3
    for alone, packed in zip(records(one), records(several), strict=True):
        assert packed.configuration == alone.configuration
        assert packed.rungs == alone.rungs
        assert packed.metrics == alone.metrics or {alone.state, packed.state} == {"complete", "stopped"}
    assert max(record.n_packed or 0 for record in records(several)) == 3
    for measured in ({"objectives": ("accuracy", "latency_seconds")}, {"max_memory": "1G"}):
        assert replace(asked, pack=3, **measured).n_packed == 1


def test_time_limit_stops_new_trials(request_: SearchRequest) -> None:
    run = engine.search(replace(request_, trials=500, time_limit=0.02), Log())
    assert 1 <= len(records(run)) < 500


def test_failed_trials_are_recorded_and_the_study_goes_on(request_: SearchRequest, tmp_path: Path) -> None:
    space = tmp_path / "wild.yaml"
    space.write_text("modules:\n  - {method: lora, size: [8]}\ntraining:\n  learning_rate: {low: 1.0e-3, high: 1.0e+30, log: true}\n")
    run = engine.search(replace(request_, space=str(space), sampler="random", trials=10, epochs=3, max_failed=1.0), Log())
    states = [record.state for record in records(run)]
    assert len(states) == 10
    assert set(states) == {"complete", "failed"}
    failed = next(record for record in records(run) if record.state == "failed")
    assert "diverged" in failed.error
    assert "Traceback" in (run.trial_path(failed.number) / "error.txt").read_text()


class Lossy:
    """An executor whose workers die: of trial 1 the first time, of trial 2 always."""

    def __init__(self, inner: Executor) -> None:
        self._inner = inner
        self.capacity, self.works_apart = inner.capacity, inner.works_apart
        self.attempts: Counter[int] = Counter()

    def describe(self) -> BackboneFacts:
        return self._inner.describe()

    def submit(self, assignment: Assignment) -> None:
        self.attempts[assignment.trial] += 1
        self._inner.submit(assignment)

    def next_outcome(self) -> Outcome:
        outcome = self._inner.next_outcome()
        trial = outcome.assignment.trial
        is_lost = trial == 2 or (trial == 1 and self.attempts[1] == 1)
        return Outcome(outcome.assignment, error="the worker died", lost=True) if is_lost else outcome

    def close(self) -> None:
        self._inner.close()


def test_a_trial_whose_worker_dies_is_tried_again_but_not_for_ever(request_: SearchRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Lossy] = []

    def start(*arguments: Any) -> Executor:
        started.append(Lossy(start_executor(*arguments)))
        return started[-1]

    monkeypatch.setattr(planning, "start_executor", start)
    run = engine.search(replace(request_, trials=4), Log())
    assert [record.state for record in records(run)] == ["complete", "complete", "failed", "complete"]
    assert started[0].attempts == {0: 1, 1: 2, 2: 1 + MAX_RETRIES, 3: 1}


class Apart:
    """An executor that seems to work while the search thinks, and notes what happens when."""

    works_apart = True

    def __init__(self, inner: Executor, events: list[str]) -> None:
        self._inner, self._events = inner, events
        self.capacity = inner.capacity

    def describe(self) -> BackboneFacts:
        return self._inner.describe()

    def submit(self, assignment: Assignment) -> None:
        self._events.append(f"start {assignment.trial}")
        self._inner.submit(assignment)

    def next_outcome(self) -> Outcome:
        outcome = self._inner.next_outcome()
        self._events.append(f"end {outcome.assignment.trial}")
        return outcome

    def close(self) -> None:
        self._inner.close()


def test_the_next_trial_is_thought_of_while_workers_train(request_: SearchRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    events: list[str] = []
    ask = Study.ask

    def noted(study: Study) -> Any:
        asked = ask(study)
        events.append(f"ask {asked[0]}")
        return asked

    monkeypatch.setattr(Study, "ask", noted)
    monkeypatch.setattr(planning, "start_executor", lambda *arguments: Apart(start_executor(*arguments), events))
    whole = engine.search(replace(request_, trials=4), Log())
    expected = ["ask 0", "start 0", "ask 1", "end 0", "start 1", "ask 2", "end 1", "start 2", "ask 3", "end 2", "start 3", "end 3"]
    assert events == expected
    stopped = replace(request_, trials=4, out=str(tmp_path / "stopped"))
    with pytest.raises(KeyboardInterrupt):
        engine.search(stopped, Log(stop_after=2))
    assert records(engine.resume(Path(stopped.out), Log())) == records(whole)


@pytest.mark.parametrize("rungs", [(), (0.5,)], ids=["new", "promoted"])
def test_a_trial_held_ready_when_the_time_is_up_has_not_begun(
    request_: SearchRequest, monkeypatch: pytest.MonkeyPatch, rungs: tuple[float, ...]
) -> None:
    now = 0.0
    name = "go_on" if rungs else "ask"
    hand_out = getattr(Study, name)

    def late(study: Study, *arguments: int) -> Any:
        nonlocal now
        handed_out = hand_out(study, *arguments)
        if rungs or handed_out[0] == 2:  # it is held ready while another trial runs
            now += 100
        return handed_out

    monkeypatch.setattr(planning, "start_executor", lambda *arguments: Apart(start_executor(*arguments), []))
    request = replace(request_, trials=8, rungs=rungs, sampler="random")
    whole = engine.search(replace(request, out=f"{request.out}-whole"), Log())
    with monkeypatch.context() as patch:
        for module in (engine, pool):
            patch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now))
        patch.setattr(Study, name, late)
        run = engine.search(replace(request, time_limit=1.0), Log())
    n_done = len(records(run))
    assert n_done < 8
    assert "running" not in {record.state for record in records(run)}
    resumed = records(engine.resume(run.path, Log()))
    assert [(one.number, one.seed, one.configuration) for one in resumed] == [
        (one.number, one.seed, one.configuration) for one in records(whole)
    ]
    assert all(record.is_over for record in resumed)


def test_when_too_many_trials_fail_the_search_says_how_many_and_why(request_: SearchRequest, tmp_path: Path) -> None:
    space = tmp_path / "hopeless.yaml"
    space.write_text("modules:\n  - {method: lora, size: [8]}\ntraining:\n  learning_rate: 1.0e+30\n")
    hopeless = replace(request_, space=str(space), trials=2, epochs=3)
    with pytest.raises(AutopeftError, match=r"2 of 2 trials failed: 2 x .*diverged"):
        engine.search(hopeless, Log())
    run = engine.search(replace(hopeless, out=str(tmp_path / "tolerant"), max_failed=1.0), Log())
    assert [record.state for record in records(run)] == ["failed", "failed"]
