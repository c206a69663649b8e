"""A study's database as Optuna's SQLite storage writes it, read without Optuna: whoever only looks at a run must not wait for its imports.

The tables are those of `optuna.storages._rdb.models`. Alembic, which Optuna changes their form with, names the form in the database itself.
"""

import json
import sqlite3
from collections import defaultdict
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from autopeft.errors import UnsupportedError
from autopeft.study.attributes import StoredTrial

FORM = "v3.2.0.a"
"""The form of the tables that this reads; what Optuna from 3.2 on writes."""
_WAIT_SECONDS = 30.0
"""A search holds the database for milliseconds whenever it writes."""
_CONSTRAINT = "constraints:"


class StoredStudy(NamedTuple):
    """All of a study."""

    trials: list[StoredTrial]
    """By number."""
    user_attrs: dict[str, Any]


def read_study(path: Path, name: str) -> StoredStudy:
    """Read a study at one moment, also while a search writes it.

    Raises:
        UnsupportedError: The tables have another form.
        sqlite3.Error, LookupError, TypeError, ValueError: The database is damaged, or has no such study.
    """
    # Not read-only: what a process had half written when it was killed is rolled back by whoever opens the database next.
    address = f"{path.absolute().as_uri()}?mode=rw"
    with closing(sqlite3.connect(address, uri=True, isolation_level=None, timeout=_WAIT_SECONDS)) as database:
        database.execute("BEGIN")
        [[form]] = database.execute("SELECT version_num FROM alembic_version")
        if form != FORM:
            raise UnsupportedError(f"this autopeft reads studies in the form {FORM} of Optuna's tables", value=form)
        found = database.execute("SELECT study_id FROM studies WHERE study_name = ?", (name,)).fetchone()
        if found is None:
            raise LookupError(f"it holds no study of the name {name}")
        (study,) = found
        user_attrs = database.execute("SELECT key, value_json FROM study_user_attributes WHERE study_id = ?", (study,))
        return StoredStudy(_trials(database, study), {key: json.loads(value) for key, value in user_attrs})


def _trials(database: sqlite3.Connection, study: int) -> list[StoredTrial]:
    attributes = {table: _attributes(database, table, study) for table in ("trial_user_attributes", "trial_system_attributes")}
    values: dict[int, list[float]] = defaultdict(list)
    for trial, value in database.execute(_of_trials("trial_values", "value", "objective"), (study,)):
        values[trial].append(float(value))
    rows = database.execute(
        "SELECT trial_id, number, state, datetime_start, datetime_complete FROM trials WHERE study_id = ? ORDER BY number", (study,)
    )
    return [
        StoredTrial(
            number,
            state,
            values[trial],
            attributes["trial_user_attributes"][trial],
            {
                key.removeprefix(_CONSTRAINT): excess
                for key, excess in attributes["trial_system_attributes"][trial].items()
                if key.startswith(_CONSTRAINT)
            },
            _local(begun),
            _local(ended),
        )
        for trial, number, state, begun, ended in rows
    ]


def _attributes(database: sqlite3.Connection, table: str, study: int) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = defaultdict(dict)
    for trial, key, value in database.execute(_of_trials(table, "key, value_json", "rowid"), (study,)):
        found[trial][key] = json.loads(value)
    return found


def _of_trials(table: str, columns: str, order: str) -> str:
    return f"SELECT trial_id, {columns} FROM {table} WHERE trial_id IN (SELECT trial_id FROM trials WHERE study_id = ?) ORDER BY {order}"


def _local(written: str | None) -> datetime | None:
    """Return a time in local time; Optuna writes UTC without saying so."""
    return None if written is None else datetime.fromisoformat(written).replace(tzinfo=UTC).astimezone().replace(tzinfo=None)
