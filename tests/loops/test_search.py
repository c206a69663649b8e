import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from autopeft.errors import AutopeftError, InvalidInputError, UnknownNameError, UnsupportedError
from autopeft.executors.base import Executor
from autopeft.loops import planning, pool
from autopeft.loops import search as engine
from autopeft.loops.pool import MAX_RETRIES
from autopeft.loops.workers import start_executor
from autopeft.methods.method import Method
from autopeft.methods.registry import get_method
from autopeft.request import CHANGEABLE, SearchRequest
from autopeft.study.directory import RunDirectory
from autopeft.study.record import TrialRecord, front
from autopeft.study.study import Study
from autopeft.training import runner
from autopeft.training.batches import draw
from autopeft.training.measurement import Assignment, BackboneFacts, Outcome


class Log:
    """Remembers what a search told it, and can stop it after so many trials."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.records: list[TrialRecord] = []
        self.n_done_at_start = -1
        self._stop_after = stop_after

    def started(self, plan: planning.SearchPlan, run: RunDirectory, n_done: int) -> None:
        self.n_done_at_start = n_done

    def trial_finished(self, record: TrialRecord, on_front: bool, n_done: int, n_trials: int) -> None:
        self.records.append(record)
        if len(self.records) == self._stop_after:
            raise KeyboardInterrupt


@pytest.fixture
def request_(backbone_folder: Path, pairs: tuple[Path, Path], tmp_path: Path) -> SearchRequest:
    return SearchRequest(
        train=str(pairs[0]),
        validation=str(pairs[1]),
        text=("a", "b"),
        label="label",
        model=str(backbone_folder),
        trials=6,
        workers=0,
        epochs=1,
        batch_size=16,
        max_length=24,
        confirm=0,
        out=str(tmp_path / "run"),
    )


def records(run: RunDirectory) -> list[TrialRecord]:
    """Return what is deterministic of a run's trials."""
    return [replace(record, seconds=None, train_seconds=None, peak_bytes=None, cpu_seconds=None) for record in Study.open(run).records()]


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


@pytest.mark.parametrize(("sampler", "trials", "rungs"), [("tpe", 6, ()), ("autopeft", 18, ()), ("autopeft", 20, (0.4,))])
def test_stopped_and_resumed_is_the_same_as_never_stopped(
    request_: SearchRequest, tmp_path: Path, sampler: str, trials: int, rungs: tuple[float, ...]
) -> None:
    request_ = replace(request_, sampler=sampler, trials=trials, rungs=rungs, reduction=2.0)
    whole = engine.search(replace(request_, out=str(tmp_path / "whole")), Log())
    with pytest.raises(KeyboardInterrupt):
        engine.search(request_, Log(stop_after=2))
    log = Log()
    resumed = engine.resume(Path(str(request_.out)), log)
    assert log.n_done_at_start == 2
    assert records(resumed) == records(whole)


@pytest.mark.parametrize("later", [None, "modules: []\ntraining: {learning_rate: 0.5}\n"], ids=["gone", "changed"])
def test_a_run_goes_on_in_the_space_that_it_began_in(request_: SearchRequest, tmp_path: Path, later: str | None) -> None:
    file = tmp_path / "space.yaml"
    file.write_text("modules:\n  - {method: lora, size: [0, 1, 2]}\ntraining: {learning_rate: {low: 1.0e-4, high: 1.0e-2, log: true}}\n")
    request_ = replace(request_, sampler="random", trials=3, space=str(file), start=())
    whole = engine.search(replace(request_, out=str(tmp_path / "whole")), Log())
    with pytest.raises(KeyboardInterrupt):
        engine.search(request_, Log(stop_after=1))
    file.write_text(later) if later else file.unlink()
    assert records(engine.resume(Path(str(request_.out)), Log())) == records(whole)


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
    assert {record.number for record in front(records(whole), Study.open(whole).objectives)} <= {record.number for record in complete}
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


def test_a_trial_that_ran_goes_on_from_its_last_rung(request_: SearchRequest) -> None:
    request_ = replace(request_, trials=3, epochs=2, sampler="random", rungs=(0.5,), reduction=3.0)
    with pytest.raises(KeyboardInterrupt):
        engine.search(request_, Log(stop_after=3))
    run = RunDirectory.open(Path(str(request_.out)))
    plan = planning.plan(request_)
    study = Study.create(run, plan.problem, "random", 0)
    study.go_on(1)  # and the process dies
    assert [record.state for record in study.records()] == ["paused", "running", "paused"]
    engine.resume(run.path, Log())
    assert [record.number for record in records(run)] == [0, 1, 2]
    assert sorted(record.state for record in records(run)) == ["complete", "stopped", "stopped"]


@pytest.mark.parametrize("begun", [1, 2])
def test_a_resumed_run_ends_with_the_total_that_was_asked_for(request_: SearchRequest, begun: int) -> None:
    """Trials that were running when it stopped count to the total, and those beyond it come later."""
    run = engine.search(replace(request_, trials=1 + begun), Log())
    _make_running(run, range(1, 1 + begun))
    log = Log()
    engine.resume(run.path, log, {"trials": 2})
    assert (log.n_done_at_start, [record.number for record in log.records]) == (1, [1])
    assert [record.state for record in Study.open(run).records()] == ["complete"] * 2
    later = Log()
    engine.resume(run.path, later, {"trials": 4})
    assert later.n_done_at_start == 2
    assert [record.state for record in Study.open(run).records()] == ["complete"] * 4


def _make_running(run: RunDirectory, numbers: Iterable[int]) -> None:
    """Leave trials as a process leaves them that dies while they run."""
    with closing(sqlite3.connect(run.storage_path)) as database, database:
        for number in numbers:
            database.execute("UPDATE trials SET state = 'RUNNING', datetime_complete = NULL WHERE number = ?", (number,))
            database.execute("DELETE FROM trial_values WHERE trial_id IN (SELECT trial_id FROM trials WHERE number = ?)", (number,))


def test_where_a_resumed_run_runs_may_change_and_nothing_else(request_: SearchRequest) -> None:
    run = engine.search(replace(request_, trials=1, time_limit=60, max_failed=0.2), Log())
    changes = {"trials": 2, "workers": 0, "address": "local", "time_limit": 5.0, "max_failed": 0.5, "cache_bytes": "10M", "offline": True}
    engine.resume(run.path, Log(), changes)
    asked = run.asked()
    assert {name: asked[name] for name in changes} == {name: {"value": value, "source": "flag"} for name, value in changes.items()}
    with pytest.raises(InvalidInputError, match=r"only --trials, .*--workers.* can change \(got '--batch-size'\)"):
        engine.resume(run.path, Log(), {"batch_size": 8})
    with pytest.raises(InvalidInputError, match="--workers must be a whole number"):
        engine.resume(run.path, Log(), {"workers": -1})
    assert set(CHANGEABLE) <= {field.name for field in fields(SearchRequest)}


@pytest.mark.parametrize("trials", [1, 2])
def test_of_too_few_trials_to_choose_from_the_best_goes_on(request_: SearchRequest, trials: int) -> None:
    objectives = ("accuracy", "trainable_parameters", "latency_seconds")
    request = replace(request_, trials=trials, epochs=2, sampler="random", rungs=(0.3, 0.6), objectives=objectives)
    run = engine.search(request, Log())
    assert sorted(record.state for record in records(run)) == ["complete", "stopped"][:trials]
    lines = [json.loads(line, parse_constant=pytest.fail) for line in (run.path / "trials.jsonl").read_text().splitlines()]
    assert {rung["values"]["latency_seconds"] for line in lines for rung in line["rungs"]} == {None}  # it is measured in the end


def test_a_resumed_run_can_have_more_trials(request_: SearchRequest) -> None:
    run = engine.search(replace(request_, trials=2), Log())
    engine.resume(run.path, Log(), {"trials": 3})
    assert len(records(run)) == 3
    assert run.settings()["settings"]["trials"] == {"value": 3, "source": "flag"}


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


def test_a_plan_trains_nothing(request_: SearchRequest) -> None:
    plan = planning.plan(request_)
    assert plan.facts.topology.n_layers == 3
    assert plan.space.n_layers == 3
    assert not Path(str(request_.out)).exists()


def test_the_trivial_score_is_of_the_examples_that_trials_measure_on(request_: SearchRequest) -> None:
    plan = planning.plan(replace(request_, evaluation_examples=7))
    measured = draw(plan.data.validation, 7).targets
    assert plan.problem.trivial == {0: pytest.approx(np.bincount(measured).max() / 7)}
    assert plan.problem.trivial != planning.plan(request_).problem.trivial


def test_a_single_answer_among_the_examples_that_trials_measure_on_is_said(request_: SearchRequest, tmp_path: Path) -> None:
    file = tmp_path / "rare.csv"
    file.write_text("a,b,label\n" + "".join(f"the cat,likes,{'same' if row == 11 else 'different'}\n" for row in range(300)))

    def said(n_examples: int | None) -> list[str]:
        plan = planning.plan(replace(request_, validation=str(file), evaluation_examples=n_examples))
        return [note for note in plan.data.notes if "a single answer" in note]

    (note,) = said(20)
    assert "the 20 validation examples that trials measure on have a single answer" in note
    assert "--evaluation-examples takes more of the 300" in note
    assert said(None) == []


def test_presets_become_the_nearest_points_of_the_space(request_: SearchRequest) -> None:
    request = replace(request_, start=("mam", "lora"), trials=3)
    started = {name: dict(point) for name, point in planning.plan(request).start.items()}
    run = engine.search(request, Log())
    mam, lora, _ = (record.configuration for record in records(run))
    assert {(module.method, module.size, module.layers) for module in mam.modules} == {
        ("prefix", 32, (0, 1, 2)),  # 30 in the preset
        ("parallel_adapter", 128, (0, 1, 2)),  # 512, and 128 is the largest that the space has
    }
    assert [(module.method, module.size, module.targets) for module in lora.modules] == [("lora", 8, ("query", "value"))]
    assert lora.training == {"learning_rate": pytest.approx(1e-3)}
    assert list(started) == ["mam", "lora"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"space": "lora", "start": ("mam",)},
            r"start with mam: the space lora has no place for parallel_adapter.*can start with: lora\.",
        ),
        (
            {"start": ("mam",), "max_params": "2k"},
            r"start with mam: it comes to .*prefix 32.*more than allowed.*can start with: autopeft",
        ),
        ({"max_params": 10}, r"no configuration of the space default keeps its trainable parameters to 10: the smallest possible has 64 "),
        ({"max_adapter_bytes": "200"}, r"keeps its adapter bytes to 200: the smallest possible has 4,744 bytes"),
        ({"max_memory": "lots"}, r"--max-memory must be a number above 0"),
        ({"max_train_seconds": 0.0}, r"--max-train-seconds must be a number above 0"),
        ({"objectives": ("accuracy",)}, "2 to 4 different objectives"),
    ],
)
def test_what_no_search_can_meet_is_said_at_once(request_: SearchRequest, changes: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        planning.plan(replace(request_, **changes))  # type: ignore[arg-type]


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


def test_methods_that_the_model_can_t_take_are_left_out_with_the_reason(request_: SearchRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def get(name: str) -> Method:
        reason = "it is too small" if name in refused else ""
        return replace(get_method(name), unsupported=lambda topology: reason)

    monkeypatch.setattr(planning, "get_method", get)
    refused = {"prefix"}
    run = engine.search(request_, Log())
    assert run.settings()["left_out"] == ["prefix is left out: it is too small"]
    assert not any(module.method == "prefix" for record in records(run) for module in record.configuration.modules)
    refused = {"prefix", "lora", "serial_adapter", "parallel_adapter", "bitfit", "norm_tuning"}
    with pytest.raises(UnsupportedError, match="can take no method of the space default; bitfit is left out: it is too small"):
        engine.search(replace(request_, out=None), Log())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": None}, "needs a task, own files or a data set"),
        ({"task": "mrpc"}, "both are given: --task and --train"),
        ({"text": ("a", "b"), "label": None, "kind": "clasification"}, "kind of task"),
        ({"trials": 0}, "--trials must be a whole number of 1 or more"),
        ({"workers": -1}, "--workers must be a whole number of 0 or more"),
        ({"time_limit": 0.0}, "--time-limit must be more than 0"),
        ({"epochs": 0}, "budget's epochs"),
        ({"rungs": (0.5, 0.2)}, "rungs must be rising shares"),
        ({"reduction": 1.0}, "reduction must be more than 1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_impossible_requests(request_: SearchRequest, changes: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        replace(request_, **changes)  # type: ignore[arg-type]


def test_unknown_names(request_: SearchRequest) -> None:
    with pytest.raises(UnknownNameError, match="sampler"):
        replace(request_, sampler="tep")
    with pytest.raises(UnknownNameError, match="preset"):
        replace(request_, start=("mamm",))
    with pytest.raises(UnknownNameError, match="objective"):
        planning.plan(replace(request_, objectives=("accuracy", "parameters")))
    with pytest.raises(UnknownNameError, match="kind of task"):
        replace(request_, kind="ranking")


def test_settings_round_trip(request_: SearchRequest) -> None:
    settings = json.loads(json.dumps(request_.to_settings({})))
    assert SearchRequest.from_settings(settings) == request_
    with pytest.raises(InvalidInputError, match="doesn't know"):
        SearchRequest.from_settings({"colour": {"value": 1}})


def test_the_space_of_every_method_gives_buildable_configurations(request_: SearchRequest) -> None:
    plan = planning.plan(replace(request_, space="all"))
    assert plan.left_out == ()
    run = engine.search(replace(request_, space="all", sampler="random", trials=20), Log())
    assert {record.state for record in records(run)} == {"complete"}
    assert len({module.method for record in records(run) for module in record.configuration.modules}) > 12
