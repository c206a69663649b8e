"""A search that was stopped goes on as if it never had been."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import pytest

from autopeft.errors import InvalidInputError
from autopeft.loops import planning
from autopeft.loops import search as engine
from autopeft.request import CHANGEABLE, SearchRequest
from autopeft.samplers import bayesian
from autopeft.study.directory import RunDirectory
from autopeft.study.reader import StudyReader
from autopeft.study.study import Study
from tests.loops.searches import Log, records


@pytest.mark.parametrize(("sampler", "trials", "rungs"), [("tpe", 6, ()), ("autopeft", 6, ()), ("autopeft", 8, (0.4,))])
def test_stopped_and_resumed_is_the_same_as_never_stopped(
    request_: SearchRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sampler: str, trials: int, rungs: tuple[float, ...]
) -> None:
    monkeypatch.setattr(bayesian, "BayesianSampler", partial(bayesian.BayesianSampler, n_initial=4))  # two trials of the surrogate's
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


def test_a_run_whose_record_is_no_record_is_left_as_it_is(small_run: RunDirectory) -> None:
    whole = small_run.storage_path.read_bytes()
    others = {path: path.read_bytes() for path in small_run.path.rglob("*.json*")}
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE other (a)")
        foreign = database.serialize()
    with closing(sqlite3.connect(small_run.storage_path)) as database:
        [[size]] = database.execute("PRAGMA page_size")
        [[page]] = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'trial_params'")  # which only a driver reads
    damaged = whole[: (page - 1) * size] + bytes(size) + whole[page * size :]
    for content in (None, b"", foreign, whole[:8192], b"no database" * 100, damaged):
        small_run.storage_path.unlink(missing_ok=True)
        if content is not None:
            small_run.storage_path.write_bytes(content)
        with pytest.raises(InvalidInputError, match=r"study\.db"):
            engine.resume(small_run.path, Log())
        assert {path: path.read_bytes() for path in small_run.path.rglob("*.json*")} == others


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
    assert [record.state for record in StudyReader.open(run).records()] == ["complete"] * 2
    later = Log()
    engine.resume(run.path, later, {"trials": 4})
    assert later.n_done_at_start == 2
    assert [record.state for record in StudyReader.open(run).records()] == ["complete"] * 4


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


def test_a_resumed_run_can_have_more_trials(request_: SearchRequest) -> None:
    run = engine.search(replace(request_, trials=2), Log())
    engine.resume(run.path, Log(), {"trials": 3})
    assert len(records(run)) == 3
    assert run.settings()["settings"]["trials"] == {"value": 3, "source": "flag"}
