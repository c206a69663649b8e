"""How far a search is, and how its front grew, against what can be counted."""

import json
import os
import socket
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from autopeft.report.costs import SearchCosts
from autopeft.report.growth import FrontGrowth
from autopeft.report.status import SearchStatus
from autopeft.study.directory import RunDirectory
from autopeft.study.lock import Driver, driver
from autopeft.study.record import Confirmation, TrialTime

NOW = datetime(2026, 3, 1, 12, 0)


def times(records) -> list[TrialTime]:
    """Trials one after another, ten minutes each, the last of which ended now."""
    ended = [record for record in records if record.state != "running"]
    last = len(ended)
    return [
        TrialTime(record.number, NOW - timedelta(minutes=10 * (last - place)), NOW - timedelta(minutes=10 * (last - place - 1)), 0.1)
        for place, record in enumerate(ended)
    ]


@pytest.mark.parametrize(
    ("driven", "n_trials", "limit", "state", "left"),
    [
        (True, 12, None, "running", 3600.0),
        (True, 12, 45, "running", 2100.0),
        (False, 12, None, "stopped", None),
        (True, 6, None, "done", None),
    ],
)
def test_what_is_left_follows_from_what_was_done(records, driven, n_trials, limit, state, left) -> None:
    running = [replace(records[0], number=10, state="running", values={}, metrics={}, seconds=None)] if state == "running" else []
    every = [replace(record, seconds=600.0, cpu_seconds=900.0) for record in records] + running
    settings = {"settings": {"trials": {"value": n_trials}, "time_limit": {"value": limit}}}
    who = Driver(1, "here", NOW - timedelta(minutes=10)) if driven else None
    found = SearchStatus.of(settings, every, {10: NOW - timedelta(hours=9)}, SearchCosts.of(every, times(every)), who, NOW)
    assert (found.state, found.n_done, found.share) == (state, 6, 6 / n_trials)
    assert found.seconds_left == left
    assert [one.trial for one in found.running] == [one.number for one in running]
    if running:  # it was asked for hours ago, by a process that is gone
        assert found.running[0].began == NOW - timedelta(minutes=10)
        assert found.cpu_seconds_left == 5400.0
    json.dumps(found.to_dict())


def test_confirmations_are_part_of_what_is_left(records) -> None:
    done = replace(records[0], confirmation=Confirmation("complete", records[0].values, records[0].metrics, seconds=3000.0))
    busy = replace(records[1], confirmation=Confirmation("running"))
    every = [replace(record, seconds=600.0) for record in (done, busy, *records[2:])]
    settings = {"settings": {"trials": {"value": 6}}, "confirmations": {"number": 3}}
    costs = SearchCosts.of(every, times(every))
    found = SearchStatus.of(settings, every, {}, costs, Driver(1, "here", NOW), NOW)
    assert (found.state, found.n_confirmed, found.n_confirmations, found.share) == ("running", 1, 3, 7 / 9)
    assert [(one.trial, one.is_confirmation) for one in found.running] == [(1, True)]
    # 6600 seconds of training took an hour: two trainings beside each other, nearly; 6000 are left.
    assert found.seconds_left == pytest.approx(6000 * 3600 / 6600)
    assert "1 of 3 confirmations at the full budget" in found.words()


@pytest.mark.parametrize(
    ("state", "begun", "found"), [("stopped", False, "done"), ("complete", False, "stopped"), ("stopped", True, "stopped")]
)
def test_a_run_is_done_where_no_trial_is_left_to_confirm(records, state, begun, found) -> None:
    """Rungs may leave fewer complete trials than were to be confirmed: a run that nothing goes on with must not ask to be gone on with."""
    done = replace(records[0], confirmation=Confirmation("running" if begun else "complete", records[0].values, records[0].metrics))
    every = [done, *(replace(record, state=state, exceeds=()) for record in records[1:])]
    settings = {"settings": {"trials": {"value": 6}}, "confirmations": {"number": 2}}
    assert SearchStatus.of(settings, every, {}, SearchCosts.of(every, times(every)), None, NOW).state == found


def test_a_driver_that_is_gone_drives_nothing(tmp_path) -> None:
    run = RunDirectory(tmp_path)
    assert driver(run) is None
    who = {"pid": os.getpid(), "host": socket.gethostname(), "since": "2026-03-01T12:00:00+00:00"}
    (tmp_path / "driver.json").write_text(json.dumps(who))
    assert driver(run).pid == os.getpid()
    (tmp_path / "driver.json").write_text(json.dumps(who | {"pid": 2**22 + 1}))  # above the largest number of a process
    assert driver(run) is None
    (tmp_path / "driver.json").write_text(json.dumps(who | {"pid": 2**22 + 1, "host": "elsewhere"}))
    assert driver(run).host == "elsewhere"
    (tmp_path / "driver.json").write_text("{")
    assert driver(run) is None


def test_the_front_grows_with_what_is_better_and_never_shrinks(records, objectives) -> None:
    found = FrontGrowth.of(records, objectives, times(records))
    shares = [step.hypervolume for step in found.steps]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
    assert shares[1] > shares[0]  # trial 1 is the best
    assert shares[2] == shares[1]  # trial 2 is dominated by trial 3 but adds nothing beyond trials 0 and 1 in accuracy
    assert [step.seconds for step in found.steps][:2] == pytest.approx([12.34, 24.68])
    assert FrontGrowth.of(records[:1], objectives, times(records)).steps == ()
