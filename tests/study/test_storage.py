"""A database that is written through and read from memory."""

import math
from pathlib import Path

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from autopeft.study.storage import DriverStorage, database_url


def _study(storage: optuna.storages.BaseStorage) -> optuna.Study:
    return optuna.create_study(study_name="one", storage=storage, directions=["maximize", "minimize"], load_if_exists=True)


def _fill(study: optuna.Study) -> None:
    """Leave trials of every state and with all that a trial can hold."""
    study.set_user_attr("note", {"a": [1, 2]})
    study.enqueue_trial({"x": 3}, user_attrs={"start": "lora"})
    for index in range(4):
        trial = study.ask()
        trial.suggest_int("x", 0, 5)
        trial.suggest_float("rate", 1e-4, 1e-2, log=True)
        trial.suggest_categorical("kind", [True, False])
        trial.set_user_attr("rungs", ({"progress": 1 / 3},))
        trial.set_constraint("seconds", -0.5)
        if index < 2:
            study.tell(trial, [0.5 + index, math.inf if index else 1.0])
    study.tell(trial, state=TrialState.FAIL)
    study.enqueue_trial({"x": 1})  # comes with what it holds, and makes what was new be written


def _seen(study: optuna.Study) -> list[tuple[object, ...]]:
    return [
        (one.number, one.state, one.values, one.params, one.distributions, one.user_attrs, one.system_attrs)
        for one in study.get_trials(deepcopy=False)
    ]


def test_what_one_process_holds_is_what_the_next_one_reads(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    written = _study(DriverStorage(url))
    _fill(written)
    seen = _seen(written)
    assert [state for _, state, *_ in seen] == [
        *(TrialState.COMPLETE, TrialState.COMPLETE, TrialState.RUNNING, TrialState.FAIL, TrialState.WAITING),
    ]
    assert _seen(_study(RDBStorage(url))) == seen  # what a dashboard reads
    reopened = _study(DriverStorage(url))
    assert _seen(reopened) == seen
    assert reopened.user_attrs == written.user_attrs == {"note": {"a": [1, 2]}}
    assert reopened.directions == written.directions


def test_a_reopened_study_goes_on_in_the_same_rows(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    _fill(_study(DriverStorage(url)))
    storage = DriverStorage(url)
    study = _study(storage)
    running = next(trial for trial in study.trials if trial.state == TrialState.RUNNING)
    study.tell(running.number, [1.0, 2.0])
    assert study.ask().number == 4  # the queued one
    assert study.ask().number == 5
    assert [trial.state.name for trial in _study(RDBStorage(url)).trials] == ["COMPLETE"] * 3 + ["FAIL", "WAITING"]
    storage.write_begun()
    assert [trial.state.name for trial in _study(RDBStorage(url)).trials] == ["COMPLETE"] * 3 + ["FAIL", "RUNNING", "RUNNING"]


def test_what_does_not_reach_the_database_is_not_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = DriverStorage(f"sqlite:///{tmp_path}/study.db")
    study = _study(storage)
    trial = study.ask()

    def full(*args: object) -> None:
        raise OSError("no space left on device")

    storage.write_begun()
    for name in ("set_trial_param", "set_trial_user_attr", "set_trial_state_values", "create_new_trial"):
        monkeypatch.setattr(storage._disk, name, full)
    for write in (
        lambda: trial.suggest_int("x", 0, 5),
        lambda: trial.set_user_attr("note", 1),
        lambda: study.tell(trial, [1.0, 2.0]),
        lambda: study.enqueue_trial({"x": 1}),
    ):
        with pytest.raises(OSError, match="no space left"):
            write()
    (kept,) = study.get_trials(deepcopy=False)
    assert (kept.state, kept.params, kept.user_attrs) == (TrialState.RUNNING, {}, {})


def test_listing_reads_nothing_from_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = DriverStorage(f"sqlite:///{tmp_path}/study.db")
    study = _study(storage)
    _fill(study)

    def forbidden(*args: object, **named: object) -> list[FrozenTrial]:
        raise AssertionError("read from the database")

    for name in ("get_trial", "get_all_trials", "get_all_studies"):
        monkeypatch.setattr(storage._disk, name, forbidden)
    assert len(study.trials) == 5
    assert storage.get_trial(study.trials[0]._trial_id).number == 0


def test_a_new_trial_is_written_at_once_or_not_at_all(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    storage = DriverStorage(url)
    study = _study(storage)
    for index in range(2):
        trial = study.ask()
        trial.suggest_int("x", 0, 5)
        trial.set_user_attr("seed", index)
        assert _seen(_study(RDBStorage(url))) == _seen(study)[:index]
        storage.write_begun()
        assert _seen(_study(RDBStorage(url))) == _seen(study)


@pytest.mark.parametrize(
    "name", ["feature%2Flogin", "100%", "what?", "a?mode=ro", "one#two", "{SCHEMA}", "a b+c", "user:pw@host", "füñ", "file:x"]
)
def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    _study(DriverStorage(database_url(folder / "study.db")))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [folder / "study.db"]
    optuna.load_study(study_name="one", storage=database_url(folder / "study.db"))
