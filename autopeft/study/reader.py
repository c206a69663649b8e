"""What a study says to whoever only reads it."""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from autopeft.configuration import Configuration
from autopeft.errors import AutopeftError, InvalidInputError
from autopeft.forms import misfit
from autopeft.objectives import Objective
from autopeft.study import attributes
from autopeft.study.attributes import SUGGESTION_SECONDS, StoredTrial
from autopeft.study.directory import RunDirectory
from autopeft.study.record import Confirmation, Expectation, TrialRecord, TrialTime
from autopeft.study.stored import StoredStudy, read_study

STUDY_NAME = "autopeft"
CONFIRMATION = "confirmation:"
"""With a trial's number, the attribute of a study that holds the trial's confirmation: Optuna's finished trials can't change."""
EXPECTED = "expected"
"""The attribute of a study that says, by trial, what the first objective would be on average over seeds: mean and deviation."""
_BROKEN = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, sqlite3.Error, AutopeftError)
"""What reading a damaged database comes to."""


class StudyReader(ABC):
    """The trials of one run as they are recorded."""

    def __init__(self, objectives: Sequence[Objective]) -> None:
        self.objectives = tuple(objectives)
        self._configurations: dict[int, Configuration] = {}
        self._over: dict[int, TrialRecord] = {}

    @staticmethod
    def open(run: RunDirectory) -> "StudyReader":
        """Read the record of a run as it is now.

        Raises:
            InvalidInputError: The database is missing or broken.
        """
        if not run.storage_path.is_file():
            raise InvalidInputError("the run has no study.db yet", value=str(run.path), remedy="Wait for its first trial.")
        objectives = [Objective(**entry) for entry in run.settings("objectives")["objectives"]]
        try:
            opened = _Snapshot(read_study(run.storage_path, STUDY_NAME), objectives)
            for record in opened.records():  # what is broken inside shows here, and not in the middle of whatever reads them
                if wrong := misfit(record, TrialRecord, f"trial {record.number}", nulls=True):
                    raise InvalidInputError(wrong)
                complete = [record.at_full_budget()] if record.confirmed else []
                if lacking := {one.name for one in objectives for found in complete if one.name not in found.values}:
                    raise InvalidInputError(f"trial {record.number} was confirmed without {min(lacking)}, an objective of run.json")
            opened.expectations()
        except _BROKEN as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InvalidInputError(f"study.db can't be read: {reason}", value=str(run.storage_path)) from None
        return opened

    @abstractmethod
    def _trials(self) -> Iterable[StoredTrial]:
        """Return all trials in order."""

    @abstractmethod
    def _attributes(self) -> Mapping[str, Any]:
        """Return the study's own attributes."""

    def records(self) -> list[TrialRecord]:
        """Return all trials in order that were handed out."""
        found = self._confirmations()
        records = [self._record(trial) for trial in self._trials() if attributes.was_handed_out(trial)]
        return [replace(one, confirmation=found[one.number]) if one.number in found else one for one in records]

    def expectations(self) -> dict[int, Expectation]:
        """Return what a surrogate said of the first objective last, by trial; nothing where too few trials were complete."""
        return {int(number): Expectation(*one) for number, one in self._attributes().get(EXPECTED, {}).items()}

    def begun(self) -> dict[int, datetime]:
        """Return when each trial of `records` was asked for, in local time."""
        return {trial.number: trial.datetime_start for trial in self._trials() if trial.datetime_start}

    def times(self) -> list[TrialTime]:
        """Return when the trials of `records` ran that are over, and their trainings at the full budget."""
        stored = self._attributes()
        found = [(number, stored[f"{CONFIRMATION}{number}"]) for number, one in self._confirmations().items() if one.state != "running"]
        confirmed = [
            TrialTime(number, datetime.fromisoformat(one["began"]), datetime.fromisoformat(one["ended"]), None) for number, one in found
        ]
        trials = [
            TrialTime(trial.number, trial.datetime_start, trial.datetime_complete, trial.user_attrs.get(SUGGESTION_SECONDS))
            for trial in self._trials()
            if trial.datetime_start and trial.datetime_complete
        ]
        return trials + confirmed

    def _confirmations(self) -> dict[int, Confirmation]:
        return {
            int(name.removeprefix(CONFIRMATION)): Confirmation.from_dict(value["found"])
            for name, value in self._attributes().items()
            if name.startswith(CONFIRMATION)
        }

    def _record(self, trial: StoredTrial) -> TrialRecord:
        """Return a trial's record; that of a finished one is made once."""
        if trial.number not in self._over:
            record = attributes.read_record(trial, self.objectives, self._configuration(trial))
            if not record.is_over:
                return record
            self._over[trial.number] = record
        return self._over[trial.number]

    def _configuration(self, trial: StoredTrial) -> Configuration:
        """Return a trial's configuration; it is read once."""
        if trial.number not in self._configurations:
            self._configurations[trial.number] = Configuration.from_json(trial.user_attrs["configuration"])
        return self._configurations[trial.number]


class _Snapshot(StudyReader):
    """A study at one moment."""

    def __init__(self, study: StoredStudy, objectives: Sequence[Objective]) -> None:
        super().__init__(objectives)
        self._study = study

    def _trials(self) -> Sequence[StoredTrial]:
        return self._study.trials

    def _attributes(self) -> Mapping[str, Any]:
        return self._study.user_attrs
