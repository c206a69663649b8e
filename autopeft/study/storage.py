"""A study's database, held in memory too by the one process that writes it."""

import json
from collections.abc import Callable, Container, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import URL


def database_url(path: Path) -> str:
    """Return the address of an SQLite file, in which ?, #, % and braces of its path stand for themselves."""
    return URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


class DriverStorage(BaseStorage):
    """Optuna storage that writes to a database first and then to memory, and reads from memory alone.

    Optuna's own cache reads every unfinished trial again whenever anyone lists trials, because another process may have changed it:
    0.7 ms each, several times a trial. The lock on a run (see `lock`) keeps other writers out, so nothing needs to be read twice.
    What fails to reach the database isn't in memory either.

    A trial that begins is in memory alone until `write_begun`: a trial that the database says is running has all its parameters, and
    one transaction writes what would have been dozens, each of which waits for the disk. A process that dies before has asked for nothing.

    Args:
        url: The database; one that is there is read once, now.
    """

    def __init__(self, url: str) -> None:
        self._disk, self._memory = RDBStorage(url), InMemoryStorage()
        self._studies: dict[int, int] = {}
        """By id of a study in memory, its id in the database."""
        self._trials: dict[int, int] = {}
        """The same of trials that are written."""
        self._new: dict[int, int] = {}
        """By id of a trial that is not written yet, the id of its study."""
        self._popped: dict[int, list[Callable[[], object]]] = {}
        """By id of a trial that waited in the queue and isn't known on disk to have begun, what is to be written of it."""
        for study in self._disk.get_all_studies():
            self._read(study)

    def _read(self, study: FrozenStudy) -> None:
        study_id = self._memory.create_new_study(study.directions, study.study_name)
        self._studies[study_id] = study._study_id
        for key, value in self._disk.get_study_user_attrs(study._study_id).items():
            self._memory.set_study_user_attr(study_id, key, value)
        for key, value in self._disk.get_study_system_attrs(study._study_id).items():
            self._memory.set_study_system_attr(study_id, key, value)
        for trial in self._disk.get_all_trials(study._study_id, deepcopy=False):
            self._remember(study_id, trial)

    def _remember(self, study_id: int, trial: FrozenTrial) -> int:
        trial_id = self._memory.create_new_trial(study_id, trial)
        self._trials[trial_id] = trial._trial_id
        return trial_id

    def write_begun(self) -> None:
        """Write the trials that began since the last call, with all that was set of each."""
        for trial_id, study_id in list(self._new.items()):
            self._trials[trial_id] = self._disk.create_new_trial(self._studies[study_id], self._memory.get_trial(trial_id))
            del self._new[trial_id]
        for trial_id, writes in list(self._popped.items()):
            for write in writes:
                write()
            self._disk.set_trial_state_values(self._trials[trial_id], TrialState.RUNNING)  # last: until now it waits in the queue
            del self._popped[trial_id]

    def forget_begun(self) -> None:
        """Leave the trials that began since the last `write_begun` unwritten: in the database they never began, or wait in the queue."""
        self._new.clear()
        self._popped.clear()

    def _write(self, trial_id: int, write: Callable[..., object], *arguments: Any) -> None:
        """Write something of a trial now, or with all else once it has begun."""
        if trial_id in self._new:
            return
        now = partial(write, self._trials[trial_id], *arguments)
        if trial_id in self._popped:
            self._popped[trial_id].append(now)
        else:
            now()

    # What is written.

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        """Write a new study."""
        on_disk = self._disk.create_new_study(directions, study_name)
        study_id = self._memory.create_new_study(directions, self._disk.get_study_name_from_id(on_disk))
        self._studies[study_id] = on_disk
        return study_id

    def delete_study(self, study_id: int) -> None:
        """Delete a study."""
        self._disk.delete_study(self._studies[study_id])
        self._memory.delete_study(study_id)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Write an attribute of a study."""
        self._disk.set_study_user_attr(self._studies[study_id], key, value)
        self._memory.set_study_user_attr(study_id, key, _as_read(value))

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Write an attribute of a study that is Optuna's own."""
        self._disk.set_study_system_attr(self._studies[study_id], key, value)
        self._memory.set_study_system_attr(study_id, key, _as_read(value))

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Begin a trial, or write one that comes with what it holds, such as one for the queue."""
        if template_trial is None:
            trial_id = self._memory.create_new_trial(study_id)
            self._new[trial_id] = study_id
            return trial_id
        self.write_begun()  # or it would get a number of theirs
        on_disk = self._disk.create_new_trial(self._studies[study_id], template_trial)
        return self._remember(study_id, self._disk.get_trial(on_disk))

    def set_trial_param(self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution) -> None:
        """Write a parameter of a trial."""
        self._write(trial_id, self._disk.set_trial_param, param_name, param_value_internal, distribution)
        self._memory.set_trial_param(trial_id, param_name, param_value_internal, distribution)

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Write that a trial has begun or ended."""
        if state == TrialState.RUNNING:
            begins = self._memory.set_trial_state_values(trial_id, state)
            if begins:
                self._popped[trial_id] = []
            return begins
        self.write_begun()
        self._disk.set_trial_state_values(self._trials[trial_id], state, values)
        return self._memory.set_trial_state_values(trial_id, state, values)

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        """Write what a trial reports on the way."""
        self._write(trial_id, self._disk.set_trial_intermediate_value, step, intermediate_value)
        self._memory.set_trial_intermediate_value(trial_id, step, intermediate_value)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Write an attribute of a trial."""
        self._write(trial_id, self._disk.set_trial_user_attr, key, value)
        self._memory.set_trial_user_attr(trial_id, key, _as_read(value))

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Write an attribute of a trial that is Optuna's own."""
        self._write(trial_id, self._disk.set_trial_system_attr, key, value)
        self._memory.set_trial_system_attr(trial_id, key, _as_read(value))

    # What is read.

    def get_study_id_from_name(self, study_name: str) -> int:
        """Return a study's id."""
        return self._memory.get_study_id_from_name(study_name)

    def get_study_name_from_id(self, study_id: int) -> str:
        """Return a study's name."""
        return self._memory.get_study_name_from_id(study_id)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """Return which way each objective is better."""
        return self._memory.get_study_directions(study_id)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """Return a study's attributes."""
        return self._memory.get_study_user_attrs(study_id)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Return a study's attributes that are Optuna's own."""
        return self._memory.get_study_system_attrs(study_id)

    def get_all_studies(self) -> list[FrozenStudy]:
        """Return all studies."""
        return self._memory.get_all_studies()

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return a trial."""
        return self._memory.get_trial(trial_id)

    def get_all_trials(self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None) -> list[FrozenTrial]:
        """Return all trials of a study."""
        return self._memory.get_all_trials(study_id, deepcopy, states)


def _as_read(value: Any) -> Any:
    """Return an attribute as the database would give it back: what one process holds and what the next one reads must be equal."""
    return json.loads(json.dumps(value))
