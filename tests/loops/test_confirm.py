import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from autopeft.api import SearchResult, SilentSearch
from autopeft.budget import Budget
from autopeft.executors.base import Executor
from autopeft.export.finished_trial import read_trial
from autopeft.loops import planning
from autopeft.loops import search as engine
from autopeft.loops.confirm import cost_ratio, default_number
from autopeft.loops.retrain import RetrainRequest, of_trials, retrain
from autopeft.loops.workers import start_executor
from autopeft.report.header import RunHeader
from autopeft.report.leaderboard import Leaderboard, tables
from autopeft.report.progress import ConsoleProgress
from autopeft.request import SearchRequest
from autopeft.study.directory import RunDirectory
from autopeft.study.reader import StudyReader
from autopeft.study.record import TrialRecord
from autopeft.training.measurement import Assignment, Outcome
from tests.loops.retraining import Ear


class Log(SilentSearch):
    """Remembers what was confirmed, and can stop the search after so many confirmations."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.confirmed: list[tuple[int, int, int]] = []
        self._stop_after = stop_after

    def trial_confirmed(self, record: TrialRecord, on_front: bool, n_done: int, n_total: int) -> None:
        self.confirmed.append((record.number, n_done, n_total))
        if len(self.confirmed) == self._stop_after:
            raise KeyboardInterrupt


@pytest.fixture
def request_(small_request: SearchRequest, tmp_path: Path) -> SearchRequest:
    return replace(small_request, trials=5, confirm=3, out=str(tmp_path / "run"))


def records(run: RunDirectory) -> list[TrialRecord]:
    """Return what is deterministic of a run's trials."""
    costs = {"seconds": None, "train_seconds": None, "peak_bytes": None, "cpu_seconds": None}
    return [
        replace(one, **costs, confirmation=one.confirmation and replace(one.confirmation, **costs))
        for one in StudyReader.open(run).records()
    ]


@pytest.fixture(scope="module")
def log() -> Log:
    return Log()


@pytest.fixture(scope="module")
def whole(small_request: SearchRequest, log: Log, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A search of five trials and three confirmations."""
    return engine.search(replace(small_request, trials=5, confirm=3, out=str(tmp_path_factory.mktemp("confirm") / "run")), log)


def test_a_search_ends_with_confirmations_which_are_the_first_trainings_of_retrain(
    request_: SearchRequest, whole: RunDirectory, log: Log, tmp_path: Path
) -> None:
    run = RunDirectory.open(Path(shutil.copytree(whole.path, tmp_path / "run")))
    found = records(run)
    confirmed = [one for one in found if one.confirmed]
    assert [(n_done, n_total) for _, n_done, n_total in log.confirmed] == [(1, 3), (2, 3), (3, 3)]
    assert sorted(number for number, _, _ in log.confirmed) == [one.number for one in confirmed]
    assert 5 <= len(found) <= 5 + 2  # a new point each for the second and the third
    assert [one.is_extra for one in found] == [False] * 5 + [True] * (len(found) - 5)
    assert run.settings()["confirmations"] == {"number": 3, "budget": Budget(None, 6, None, 16, 24).to_dict()}

    folder = retrain(run, of_trials(found), RetrainRequest(seeds=1), Ear())
    other = engine.search(replace(request_, confirm=0, out=str(tmp_path / "other")), SilentSearch())
    assert records(other) == [replace(one, confirmation=None) for one in found[:5]]
    anew = {one.candidate.id: one.results[0] for one in retrain(other, of_trials(found), RetrainRequest(seeds=1), Ear()).read()}
    for one in folder.read():
        (result,), same = one.results, anew[one.candidate.id]
        assert (result.epoch, result.validation, result.test) == (same.epoch, same.validation, same.test)
        assert result.resampled == same.resampled
        adapters = [
            place.adapter_path(one.candidate.id, 0) / "adapter.safetensors" for place in (folder, type(folder)(other.retrained_path))
        ]
        assert adapters[0].read_bytes() == adapters[1].read_bytes()
    for one in confirmed:
        assert one.confirmation is not None
        assert anew[one.configuration.id].validation == one.confirmation.metrics
        seconds = StudyReader.open(run).records()[one.number].confirmation.seconds  # type: ignore[union-attr]
        (result,) = next(two.results for two in folder.read() if two.candidate.id == one.configuration.id)
        assert result.seconds == seconds  # it was not trained again


def test_what_is_handed_out_are_confirmed_trials(whole: RunDirectory, tmp_path: Path) -> None:
    run = whole
    result = SearchResult(run.path)
    confirmed = {one.number: one for one in result.trials if one.confirmed}
    assert {one.number for one in result.front} <= set(confirmed)
    for one in (*result.front, result.best(), result.knee()):
        assert one.metrics == confirmed[one.number].confirmation.metrics  # type: ignore[union-attr]
        assert one.values["accuracy"] == one.metrics["accuracy"]
    exported = read_trial(run, result.best().number)
    assert exported.budget.epochs == 6
    assert exported.adapter == run.confirmed_path(result.best().number) / "adapter"
    board = Leaderboard.of(result.trials, StudyReader.open(run).objectives)
    rows = board.rows()
    assert {row["trial"] for row in rows if row["confirmed"]} == set(confirmed)
    assert [row["accuracy"] for row in rows] == [
        next(one for one in result.trials if one.number == row["trial"]).metrics["accuracy"] for row in rows
    ]
    titles = [table.title for table in tables(board, RunHeader("run"))]
    assert titles[0] == f"Pareto front, confirmed at the full budget ({len(result.front)})"
    assert sorted(row["trial"] for row in rows) == list(range(len(rows)))
    assert "These trials were confirmed" in result.report(tmp_path, ["md"])[0].read_text()
    lines = [json.loads(line) for line in (run.path / "trials.jsonl").read_text().splitlines()]
    assert {line["trial"]: line["confirmed"] for line in lines} == {row["trial"]: row["confirmed"] for row in rows}
    assert len(lines) == len(rows)


def test_a_data_frame_has_what_was_confirmed_in_columns_beside_the_low_cost(whole: RunDirectory) -> None:
    result = SearchResult(whole.path)
    frame = result.to_pandas().set_index("trial")
    low_cost = {one.number: one for one in result.trials}
    for number, row in frame.iterrows():
        assert row["accuracy"] == low_cost[number].metrics["accuracy"]
        confirmation = low_cost[number].confirmation
        full = row.filter(like="full_")
        assert row["confirmed"] == (confirmation is not None)
        if confirmation is None:
            assert full.isna().all()
        else:
            assert full["full_state"] == "complete"
            assert {name: full[f"full_{name}"] for name in confirmation.metrics} == confirmation.metrics
            assert (full["full_epoch"], full["full_seconds"]) == (confirmation.epoch, pytest.approx(confirmation.seconds, abs=1e-3))
    assert 0 < frame["full_accuracy"].notna().sum() == frame["confirmed"].sum() < len(frame)


class Watched:
    """An executor that is stopped during the second training at the full budget, or on which the odd ones fail."""

    def __init__(self, inner: Executor, *, stops: bool) -> None:
        self._inner, self._stops, self._n = inner, stops, 0
        self.capacity, self.works_apart = inner.capacity, inner.works_apart
        self.describe, self.submit, self.close = inner.describe, inner.submit, inner.close

    def next_outcome(self) -> Outcome:
        outcome = self._inner.next_outcome()
        self._n += outcome.assignment.keeps_best
        if self._stops and self._n == 2:
            raise KeyboardInterrupt
        fails = not self._stops and outcome.assignment.keeps_best and self._n % 2
        return Outcome(outcome.assignment, error="no room") if fails else outcome


def test_interrupted_among_confirmations_it_resumes_to_the_same(
    request_: SearchRequest, whole: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(planning, "start_executor", lambda *arguments: Watched(start_executor(*arguments), stops=True))
        with pytest.raises(KeyboardInterrupt):
            engine.search(request_, Log())
    run = RunDirectory.open(Path(str(request_.out)))
    assert [one.confirmation.state for one in records(run) if one.confirmation is not None].count("running") == 1
    with pytest.raises(KeyboardInterrupt):
        engine.resume(run.path, Log(stop_after=1))
    assert records(engine.resume(run.path, Log())) == records(whole)


def test_a_failed_confirmation_is_recorded_and_not_tried_again(request_: SearchRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "start_executor", lambda *arguments: Watched(start_executor(*arguments), stops=False))
    run = engine.search(request_, Log())
    found = [one.confirmation for one in records(run) if one.confirmation is not None]
    assert sorted(one.state for one in found) == ["complete", "failed", "failed"]
    assert {one.error for one in found if one.state == "failed"} == {"no room"}
    assert {one.state for one in records(run)} == {"complete"}
    assert len(SearchResult(run.path).front) == 1


class Abreast:
    """An executor that takes two assignments at once."""

    capacity, works_apart = 2, True

    def __init__(self, inner: Executor) -> None:
        self.describe, self.close, self._inner = inner.describe, inner.close, inner
        self.at_once: list[list[Assignment]] = []
        self._running: list[Assignment] = []

    def submit(self, assignment: Assignment) -> None:
        self._running.append(assignment)
        self.at_once.append(list(self._running))
        self._inner.submit(assignment)

    def next_outcome(self) -> Outcome:
        self._running.pop(0)
        return self._inner.next_outcome()


def test_as_many_are_confirmed_at_once_as_there_are_workers(request_: SearchRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Abreast] = []
    monkeypatch.setattr(planning, "start_executor", lambda *arguments: started.append(Abreast(start_executor(*arguments))) or started[0])
    run = engine.search(request_, Log())
    found = records(run)
    assert sum(one.confirmed for one in found) == 3
    assert sum(one.is_extra for one in found) <= 2
    last = [some for some in started[0].at_once if any(one.keeps_best for one in some)]
    assert any(len(some) == 2 for some in last)
    assert len({one.trial for some in last for one in some if one.keeps_best}) == 3
    assert not any(one.trial < 5 and not one.keeps_best for some in last for one in some)  # low-cost trials had ended


def test_a_resumed_run_confirms_more_and_says_so(request_: SearchRequest, capsys: pytest.CaptureFixture[str]) -> None:
    run = engine.search(replace(request_, confirm=1), Log())
    progress = ConsoleProgress()
    progress.finished(engine.resume(run.path, progress, {"trials": 6, "confirm": 2}))
    assert sum(not one.is_extra for one in records(run)) == 6
    assert sum(one.confirmed for one in records(run)) == 2
    printed = capsys.readouterr()
    assert "confirm  2 trials at the full budget, each as much training as 6.0 others: all training examples x 6 epochs" in printed.err
    assert re.search(r"\[2/2\] trial \d at the full budget: accuracy 0\.\d+ \(at low cost 0\.\d+\)", printed.err)
    assert "trials and 2 confirmations took" in printed.err
    assert "Pareto front, confirmed at the full budget" in printed.out


@pytest.mark.parametrize(
    ("trials", "low_cost", "n_train", "expected"),
    [
        (64, Budget(2000, 2), 3668, 5),  # MRPC: each costs 5.5 trials
        (12, Budget(2000, 2), 3668, 2),
        (8, Budget(2000, 2), 3668, 1),  # two would cost more than all trials
        (6, Budget(2000, 2), 3668, 0),
        (64, Budget(2000, 2), 67349, 0),  # SST-2: one would cost more than all trials
        (64, Budget(None, 6), 3668, 0),  # trials have the full budget already
        (64, Budget(None, 9), 3668, 0),
        (128, Budget(2000, 2), 40000, 2),
    ],
)
def test_the_default_takes_about_a_third_of_the_cost(trials: int, low_cost: Budget, n_train: int, expected: int) -> None:
    assert default_number(trials, low_cost, n_train) == expected
    assert expected * cost_ratio(low_cost, n_train) <= trials
