"""What Optuna wrote, read without it."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from autopeft.errors import UnsupportedError
from autopeft.study.storage import database_url
from autopeft.study.stored import read_study


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A study with trials of every state and all that ours hold, beside another study."""
    path = tmp_path / "100% #study?.db"
    storage = optuna.storages.RDBStorage(database_url(path))
    optuna.create_study(study_name="another", storage=storage).enqueue_trial({"x": 1})
    study = optuna.create_study(study_name="one", storage=storage, directions=["maximize", "minimize"])
    study.set_user_attr("confirmation:0", {"found": {"state": "complete", "values": {"accuracy": 1 / 3}}})
    trials = [study.ask({"x": optuna.distributions.FloatDistribution(0, 1)}) for _ in range(4)]
    for trial in trials:
        trial.set_user_attr("configuration", json.dumps({"training": {"learning_rate": 0.1}}))
        trial.set_user_attr("text", "äöü 你好 \x00 'quoted' \"twice\"")
        trial.set_user_attr("rungs", [{"progress": 1 / 3}])
        trial.set_constraint("peak_bytes", -0.1 if trial.number else 0.1 + 0.2)
    study.tell(trials[2], [0.1 + 0.2, 1e300])  # not in order
    study.tell(trials[0], state=TrialState.FAIL)
    study.tell(trials[1], state=TrialState.PRUNED)
    study.enqueue_trial({"x": 0.5}, user_attrs={"start": "lora"})
    return path


def test_all_is_read_as_optuna_reads_it(database: Path) -> None:
    study = optuna.load_study(study_name="one", storage=database_url(database))
    found = read_study(database, "one")
    assert found.user_attrs == study.user_attrs
    assert {trial.state for trial in found.trials} == {"COMPLETE", "FAIL", "PRUNED", "RUNNING", "WAITING"}
    for mine, theirs in zip(found.trials, study.trials, strict=True):
        assert (mine.number, mine.state, list(mine.values)) == (theirs.number, theirs.state.name, theirs.values or [])
        assert (mine.user_attrs, mine.constraints) == (theirs.user_attrs, theirs.constraints)
        assert (mine.datetime_start, mine.datetime_complete) == (theirs.datetime_start, theirs.datetime_complete)


def test_half_a_write_of_a_process_that_was_killed_is_not_read(database: Path, tmp_path: Path) -> None:
    before = read_study(database, "one")
    with closing(sqlite3.connect(database, isolation_level=None)) as writer:
        writer.execute("PRAGMA cache_size=1")  # a change goes to the file before it is committed
        writer.execute("BEGIN")
        writer.execute("UPDATE trial_user_attributes SET value_json = printf('%.*c', 9000, '1')")
        killed = tmp_path / "killed.db"
        killed.write_bytes(database.read_bytes())
        killed.with_name("killed.db-journal").write_bytes(database.with_name(f"{database.name}-journal").read_bytes())
    assert killed.read_bytes() != database.read_bytes()
    assert read_study(killed, "one") == before


def test_tables_of_another_form_are_refused(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v9.0.0.a'")
    with pytest.raises(UnsupportedError, match=r"form v3\.2\.0\.a of Optuna's tables \(got 'v9\.0\.0\.a'\)"):
        read_study(database, "one")
