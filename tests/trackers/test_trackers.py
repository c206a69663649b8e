import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from autopeft.api import SilentSearch
from autopeft.errors import UnavailableError, UnknownNameError
from autopeft.loops.search import SearchPlan
from autopeft.loops.tracking import Tracking, TrackingWarning
from autopeft.study.directory import RunDirectory
from autopeft.study.reader import StudyReader
from autopeft.study.record import TrialRecord, front
from autopeft.trackers import Callback, TrackedSearch, TrackedTrial, registry

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::FutureWarning"
)  # the trackers' own


class Recorder(Callback):
    """Remembers what it heard."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def search_started(self, search: TrackedSearch) -> None:
        self.heard.append(search)

    def trial_finished(self, trial: TrackedTrial) -> None:
        self.heard.append(trial)

    def search_finished(self, front: Any) -> None:
        self.heard.append([record.number for record in front])


class Failing(Recorder):
    """Breaks at the second trial."""

    def trial_finished(self, trial: TrackedTrial) -> None:
        super().trial_finished(trial)
        if trial.record.number == 1:
            raise ConnectionError("the server is gone\nlong story")


def replay(run: RunDirectory, trackers: dict[str, Callback], *callbacks: Callback, n_before: int = 0) -> list[TrialRecord]:
    """Have a finished run's trials end once more, some of them before it was resumed."""
    study = StudyReader.open(run)
    records = study.records()
    tracking = Tracking(SilentSearch(), trackers, callbacks)
    tracking.started(cast(SearchPlan, SimpleNamespace(objectives=study.objectives)), run, n_before)
    tracking.catch_up(records[:n_before])
    for record in records[n_before:]:
        tracking.trial_finished(record, False, 1, 1)
    tracking.ended(records)
    return records


def test_every_trial_comes_once_and_a_callback_that_fails_is_a_warning(small_run: RunDirectory) -> None:
    tracker, broken = Recorder(), Failing()
    with pytest.warns(
        TrackingWarning, match=r"^broken failed .*: ConnectionError: the server is gone\. .* --resume .* --track broken"
    ) as warned:
        records = replay(small_run, {"tracker": tracker, "broken": broken}, n_before=1)
    assert len(warned) == 1
    search, *trials, best = tracker.heard
    assert [trial.record for trial in trials] == records
    assert best == [record.number for record in front(records, StudyReader.open(small_run).objectives)]
    assert search.settings["epochs"] == 1
    step, point = trials[0].points[-1]
    assert step == records[0].examples_seen
    assert point["validation_accuracy"] == records[0].metrics["accuracy"] == trials[0].results["accuracy"]
    assert trials[0].parameters["learning_rate"] == records[0].configuration.training["learning_rate"]
    assert len(broken.heard) == 3  # the start and two trials

    again, mine = Recorder(), Recorder()
    replay(small_run, {"broken": again}, mine, n_before=len(records))  # resumed when all was done
    assert [type(one).__name__ for one in again.heard] == ["TrackedSearch", "TrackedTrial", "TrackedTrial", "list"]
    assert [one.record.number for one in again.heard[1:3]] == [1, 2]
    assert again.heard[0].id == search.id
    assert len(mine.heard) == 2  # trials that were over before don't end again


def test_names_of_trackers(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'mlflow'"):
        registry.make_trackers(["mlfow"])
    monkeypatch.setattr(registry, "find_spec", lambda name: None)
    with pytest.raises(UnavailableError, match=r'the tracker wandb needs the package wandb\. Install it: pip install "autopeft\[wandb\]"'):
        registry.make_trackers(["wandb"])


def test_tensorboard(small_run: RunDirectory) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    records = replay(small_run, registry.make_trackers(["tensorboard"]))
    folder = small_run.path / "tensorboard"
    for record in records:
        found = EventAccumulator(str(folder / f"trial-{record.number:04d}")).Reload()
        last = found.Scalars("validation_accuracy")[-1]
        assert (last.step, last.value) == (record.examples_seen, pytest.approx(record.metrics["accuracy"]))
        assert "_hparams_/session_start_info" in found.Tags()["distributions"] + list(found.summary_metadata)
    search = EventAccumulator(str(folder / "search")).Reload()
    assert [point.step for point in search.Scalars("trials/accuracy")] == [record.number for record in records]
    assert "front/text_summary" in search.Tags()["tensors"]


def test_mlflow(small_run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    records = replay(small_run, registry.make_trackers(["mlflow"]))
    client = mlflow.MlflowClient(f"sqlite:///{small_run.path / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("autopeft").experiment_id])
    parent = next(run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    children = sorted((run for run in runs if run is not parent), key=lambda run: str(run.info.run_name))
    assert [run.info.run_name for run in children] == [f"trial {record.number}" for record in records]
    for run, record in zip(children, records, strict=True):
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.data.params["configuration"] == record.configuration.describe()
        assert client.get_metric_history(run.info.run_id, "validation_accuracy")[-1].step == record.examples_seen
    assert [point.step for point in client.get_metric_history(parent.info.run_id, "accuracy")] == [record.number for record in records]
    listed = json.loads(next(small_run.path.glob("mlflow/**/front.json")).read_text())["front"]
    assert [row["trial"] for row in listed] == [record.number for record in front(records, StudyReader.open(small_run).objectives)]


def written(log: bytes) -> Iterator[bytes]:
    """Yield the entries of a log as LevelDB writes it: blocks of 32 KiB, parts of entries in each after a checksum, a length and a kind."""
    place, entry = 7, b""  # after the file's own header
    while place + 7 <= len(log):
        if (left := 2**15 - place % 2**15) < 7:
            place += left
            continue
        n_bytes, kind = struct.unpack_from("<HB", log, place + 4)
        entry += log[place + 7 : place + 7 + n_bytes]
        place += 7 + n_bytes
        if kind in (1, 4):  # whole, or the last part
            yield entry
            entry = b""


def test_wandb(small_run: RunDirectory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    for name, value in {"WANDB_MODE": "offline", "WANDB_CACHE_DIR": str(tmp_path), "WANDB_CONFIG_DIR": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    from wandb.proto.wandb_internal_pb2 import Record

    def entries(path: Path) -> list[Any]:
        for _ in range(100):  # a process of its own writes the file, and may take a moment longer
            found = [Record.FromString(content) for content in written(path.read_bytes())]
            if any(entry.HasField("exit") for entry in found):
                return found
            time.sleep(0.1)
        pytest.fail(f"{path} never ends")

    records = replay(small_run, registry.make_trackers(["wandb"]))
    found: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {}
    for path in small_run.path.glob("wandb/offline-run-*/*.wandb"):
        config: dict[str, Any] = {}
        history: list[dict[str, Any]] = []
        for entry in entries(path):
            config |= {item.key: json.loads(item.value_json) for item in entry.run.config.update}
            if entry.history.item:
                history.append({item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in entry.history.item})
        found[path.stem.removeprefix("run-")] = config, history
    parent = next(name for name in found if "-" not in name)
    assert found.keys() == {parent, *(f"{parent}-{record.number:04d}" for record in records)}
    for record in records:
        config, history = found[f"{parent}-{record.number:04d}"]
        assert config["configuration"] == record.configuration.describe()
        assert (history[-1]["_step"], history[-1]["validation_accuracy"]) == (record.examples_seen, record.metrics["accuracy"])
    config, history = found[parent]
    assert config["epochs"] == 1
    assert [row["accuracy"] for row in history if "trial" in row] == [record.metrics["accuracy"] for record in records]
    assert any(name.startswith("front") for name in history[-1])


def test_trackio(small_run: RunDirectory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path))  # it is read when the package is imported
    trackio = pytest.importorskip("trackio")
    from trackio.sqlite_storage import SQLiteStorage

    records = replay(small_run, registry.make_trackers(["trackio"]))
    assert not capsys.readouterr().out
    runs = {run.name: run for run in trackio.Api().runs("autopeft")}
    parent = min(runs, key=len)
    assert runs.keys() == {parent, *(f"{parent}-{record.number:04d}" for record in records)}
    for record in records:
        run = runs[f"{parent}-{record.number:04d}"]
        assert run.config["configuration"] == record.configuration.describe()
        last = SQLiteStorage.get_logs("autopeft", run.name)[-1]
        assert (last["step"], last["validation_accuracy"]) == (record.examples_seen, record.metrics["accuracy"])
