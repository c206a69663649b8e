"""The record of trials, on Optuna's SQLite storage, so that optuna-dashboard opens a run as it is."""

import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np
import optuna
from optuna.exceptions import StorageInternalError
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import DatabaseError, OperationalError

from autopeft.configuration import Configuration
from autopeft.costs import recorded_costs
from autopeft.errors import InvalidInputError
from autopeft.objectives import TRAIN_SECONDS
from autopeft.samplers.distinct import DistinctSampler, trial_seed
from autopeft.samplers.partial import Early
from autopeft.samplers.problem import Parameters
from autopeft.samplers.registry import make_sampler, require_sampler
from autopeft.space.slots import Point
from autopeft.study import attributes
from autopeft.study.attributes import ENVIRONMENT, EXTRA, GOES_ON, RUNGS, START, SUGGESTION_SECONDS, StoredTrial, value_of
from autopeft.study.directory import RunDirectory
from autopeft.study.problem import SpaceProblem
from autopeft.study.reader import CONFIRMATION, EXPECTED, STUDY_NAME, StudyReader
from autopeft.study.record import Confirmation, RungResult, TrialRecord
from autopeft.study.storage import DriverStorage, database_url
from autopeft.training.measurement import Assignment, Measurement

optuna.logging.set_verbosity(optuna.logging.WARNING)


class Study(StudyReader):
    """Trials of one run: asks for the next, remembers each, lists them all.

    Make one with `create`; whoever only reads takes `StudyReader.open`.
    """

    def __init__(
        self,
        study: optuna.Study,
        problem: SpaceProblem,
        seed: int,
        storage: DriverStorage,
    ) -> None:
        super().__init__(problem.objectives)
        self._study, self._problem, self._seed, self._storage = study, problem, seed, storage
        self._live: dict[int, optuna.Trial] = {}
        self._begun: list[int] = []
        """Numbers of trials that a dead process had begun."""
        self._confirming: list[int] = []
        """The same of trials that it had begun to confirm."""

    @classmethod
    def create(cls, run: RunDirectory, problem: SpaceProblem, sampler: str, seed: int) -> "Study":
        """Start the record of a new run, or go on with the one that is there.

        Args:
            run: Where the database is.
            problem: What to choose from, what is traded off, and what is kept to.
            sampler: Name of a sampler.
            seed: Seeds proposals and trials.

        Raises:
            UnknownNameError: There is no sampler of that name.
            InvalidInputError: The database is damaged.
        """
        require_sampler(sampler)  # an unknown name must fail before the database exists
        objectives = problem.objectives
        read_early = partial(_read_early, problem)
        try:
            storage = DriverStorage(database_url(run.storage_path))
        except (DatabaseError, StorageInternalError) as error:
            found = error.__cause__ if isinstance(error, StorageInternalError) else error
            if not isinstance(found, DatabaseError) or isinstance(found, OperationalError):  # such as no room: the file is whole
                raise
            raise InvalidInputError(f"study.db can't be read: {found.orig}", value=str(run.storage_path)) from None
        study = optuna.create_study(
            study_name=STUDY_NAME,
            storage=storage,
            sampler=DistinctSampler(lambda one: make_sampler(sampler, one, problem, read_early), seed, problem, problem.smallest),
            directions=[objective.direction for objective in objectives],
            load_if_exists=True,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # names only label the dashboard's axes
            study.set_metric_names([objective.name for objective in objectives])
        return cls(study, problem, seed, storage)

    def start_with(self, points: Mapping[str, Point]) -> None:
        """Queue points, by the names that they are known under, before anything a sampler proposes; those of an earlier call stay."""
        queued = {trial.user_attrs.get(START) for trial in self._study.get_trials(deepcopy=False)}
        for name, point in points.items():
            if name not in queued:
                self._study.enqueue_trial(self._problem.to_params(point), user_attrs={START: name})

    def ask(self) -> tuple[int, Configuration, int]:
        """Return the number, configuration and seed of a running trial: one that a dead process had begun, or else a new one."""
        if (begun := self._begun_again(extra=False)) is not None:
            return begun
        began = time.perf_counter()
        try:
            trial = self._study.ask(self._problem.distributions)
            trial.set_user_attr(SUGGESTION_SECONDS, round(time.perf_counter() - began, 4))
            configuration = self._problem.configuration(trial.params)
            seed = trial_seed(self._seed, trial.number)
            for key, value in attributes.identity(configuration, seed).items():
                trial.set_user_attr(key, value)
            self._storage.write_begun()  # a trial that is written has all that it needs to come again
        except BaseException:  # an interrupt too
            self._storage.forget_begun()  # what is written later must not take half a trial along
            raise
        self._live[trial.number] = trial
        return trial.number, configuration, seed

    def propose(self, params: Parameters | None = None) -> tuple[int, Configuration, int] | None:
        """Begin a trial beyond the total, and return its number, configuration and seed.

        Args:
            params: Its parameters. None: one that a dead process had begun, if there is one.
        """
        if params is None:
            return self._begun_again(extra=True)
        number, configuration = len(self._study.get_trials(deepcopy=False)), self._problem.configuration(params)
        found = number, configuration, trial_seed(self._seed, number)
        begun = {EXTRA: True, **attributes.identity(configuration, found[2])}
        trial = optuna.trial.create_trial(
            state=TrialState.RUNNING, params=params, distributions=self._problem.distributions, user_attrs=begun
        )
        self._study._storage.create_new_trial(self._study._study_id, trial)
        return found

    def _begun_again(self, *, extra: bool) -> tuple[int, Configuration, int] | None:
        """Return a trial that a dead process had begun, one beyond the total or one of it."""
        for number in self._begun:
            record = self._read(number)
            if record.is_extra == extra:
                self._begun.remove(number)
                return record.number, record.configuration, record.seed
        return None

    @property
    def n_begun(self) -> int:
        """How many of `records` are trials that a dead process had begun, and that `ask` will hand out next."""
        return sum(not self._read(number).is_extra for number in self._begun)

    def early_losses(self, record: TrialRecord) -> list[tuple[float, ...]]:
        """Return what a trial's measurement at each of its rungs tells of each objective, smaller is better."""
        return [rung.early_losses(self.objectives, self._problem.early_metrics, self._problem.late) for rung in record.rungs]

    def locate(self, number: int, environment: Mapping[str, str]) -> None:
        """Record where a running trial ran: node, device, and which GPUs its process saw; nothing if that is not known."""
        if environment:
            self._trial(number).set_user_attr(ENVIRONMENT, dict(environment))

    def tell(self, assignment: Assignment, measurement: Measurement) -> TrialRecord:
        """Record a trial that ended well; one whose objectives are not all finite is recorded as failed."""
        values = {objective.name: value_of(objective, measurement) for objective in self.objectives}
        if missing := [name for name, value in values.items() if not np.isfinite(value)]:
            return self.fail(assignment, f"{missing[0]} is not a finite number: training diverged")
        trial = self._trial(assignment.trial)
        for constraint in self._problem.constraints:
            if not constraint.objective.known:
                trial.set_constraint(constraint.objective.name, constraint.excess(value_of(constraint.objective, measurement)))
        found = attributes.metrics(measurement) | attributes.costs(measurement)
        return self._finish(assignment, found, [values[objective.name] for objective in self.objectives])

    def fail(self, assignment: Assignment, reason: str) -> TrialRecord:
        """Record a trial that failed, with its reason in one line."""
        return self._finish(assignment, {"error": reason}, None)

    def pause(self, assignment: Assignment, measurement: Measurement) -> TrialRecord:
        """Record that a trial waits at a rung, and what it has come to."""
        trial = self._trial(assignment.trial)
        values = {objective.name: value_of(objective, measurement) for objective in self.objectives}
        rung = RungResult(measurement.progress, dict(measurement.metrics), values)
        for name, value in attributes.costs(measurement).items():
            trial.set_user_attr(name, value)
        # Last: a trial is paused from here on, and what it needs to go on must be there.
        trial.set_user_attr(RUNGS, [*trial.user_attrs.get(RUNGS, ()), asdict(rung)])
        return self._read(assignment.trial)

    def go_on(self, number: int) -> None:
        """Record that a paused trial runs again."""
        trial = self._trial(number)
        trial.set_user_attr(GOES_ON, len(trial.user_attrs[RUNGS]))

    def put_back(self, number: int) -> None:
        """Record that a trial which was handed out, or was to go on, has not begun: it comes again first, here or in a later process."""
        trial = self._trial(number)
        if RUNGS in trial.user_attrs:
            trial.set_user_attr(GOES_ON, 0)
        else:
            self._storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)
            del self._live[number]

    def put_back_begun(self) -> None:
        """Record that the trials which a dead process had begun have not come again: a smaller total was reached without them."""
        for number in [number for number in self._begun if not self._read(number).is_extra]:
            self._begun.remove(number)
            self.put_back(number)

    def stop(self, number: int) -> TrialRecord:
        """Record that a paused trial will not go on."""
        self._live.pop(number, None)
        self._study.tell(number, state=TrialState.PRUNED)
        return self._read(number)

    def take_over(self) -> int:
        """Make every trial that a dead process left running come again, from the last rung that it had reached; return how many.

        It keeps its number and seed, so that a search that was interrupted proposes what it would have proposed.
        Must only be called when nothing is running: Optuna can't tell a live trial from a stranded one.
        """
        self._confirming = sorted(number for number, one in self._confirmations().items() if one.state == "running")
        stale = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        for trial in stale:
            if RUNGS in trial.user_attrs:
                self._trial(trial.number).set_user_attr(GOES_ON, 0)
            else:
                self._begun.append(trial.number)
        return len(stale)

    def begin_confirmation(self, number: int) -> None:
        """Record that a complete trial is being trained at the full budget: if the process dies, it comes again."""
        self._confirm(number, Confirmation("running"))

    def confirm_again(self) -> TrialRecord | None:
        """Return a trial that a dead process had begun to confirm, if there is one."""
        return self._read(self._confirming.pop(0)) if self._confirming else None

    def confirm(self, number: int, measurement: Measurement) -> TrialRecord:
        """Record what a trial came to at the full budget; if its objectives are not all finite, that it failed there.

        Bounds count there too, but for that on seconds of training, which is one on a low-cost trial's.
        """
        values = {objective.name: value_of(objective, measurement) for objective in self.objectives}
        if missing := [name for name, value in values.items() if not np.isfinite(value)]:
            return self.fail_confirmation(number, f"{missing[0]} is not a finite number: training diverged")
        bounds = [one for one in self._problem.constraints if not one.objective.known and one.objective != TRAIN_SECONDS]
        assert measurement.final is not None, "a confirmation keeps its best epoch"
        found = Confirmation(
            "complete",
            values,
            {name: value for name, value in measurement.metrics.items() if np.isfinite(value)},
            epoch=measurement.final.epoch,
            exceeds=tuple(one.objective.name for one in bounds if one.excess(value_of(one.objective, measurement)) > 0),
            **recorded_costs(measurement),
        )
        return self._confirm(number, found)

    def fail_confirmation(self, number: int, reason: str) -> TrialRecord:
        """Record that a trial's training at the full budget failed, with the reason in one line."""
        return self._confirm(number, Confirmation("failed", error=reason))

    def choose_to_confirm(self, *, may_be_new: bool, new_costs: float) -> int | Parameters | None:
        """Return the number of the trial to train at the full budget next, or parameters that promise more; None if there is neither.

        Args:
            may_be_new: Whether parameters may be returned.
            new_costs: What a trial at low cost costs, in trainings at the full budget.
        """
        from autopeft.study.choosing import choose  # it needs torch, which whoever only reads a study must not wait for

        read_early = partial(_read_early, self._problem)
        trials, records = self._study.get_trials(deepcopy=False), self.records()
        return choose(trials, records, self._problem, read_early, self._seed, may_be_new=may_be_new, new_costs=new_costs)

    def _confirm(self, number: int, found: Confirmation) -> TrialRecord:
        name, now = f"{CONFIRMATION}{number}", datetime.now().isoformat()
        began = now if found.state == "running" else self._study.user_attrs[name]["began"]
        self._study.set_user_attr(name, {"began": began, "ended": now, "found": asdict(found)})
        return replace(self._read(number), confirmation=found)

    def expect(self) -> None:
        """Have a surrogate of the trials so far say what each would measure on average over seeds; `expectations` reads it."""
        from autopeft.samplers.expectation import expectations  # it needs torch, which whoever only reads a study must not wait for

        exact = next((index for index, objective in enumerate(self.objectives) if objective.known), None)
        flags = self._problem.space.flags
        found = {} if self.objectives[0].known else expectations(self._study.get_trials(deepcopy=False), 0, exact, flags)
        self._study.set_user_attr(EXPECTED, {str(number): list(one) for number, one in found.items()})

    def _trials(self) -> Iterator[StoredTrial]:
        return map(_stored, self._study.get_trials(deepcopy=False))

    def _attributes(self) -> Mapping[str, Any]:
        return self._study.user_attrs

    def _finish(self, assignment: Assignment, found: Mapping[str, Any], values: list[float] | None) -> TrialRecord:
        trial = self._trial(assignment.trial)
        del self._live[assignment.trial]
        for key, value in found.items():  # before the state: a finished trial can't be changed, and after a crash here it comes again
            trial.set_user_attr(key, value)
        return self._record(_stored(self._study.tell(trial, values, state=TrialState.COMPLETE if values else TrialState.FAIL)))

    def _trial(self, number: int) -> optuna.Trial:
        """Return the live object of a running trial, made anew if another process asked for it."""
        if number not in self._live:
            frozen = self._study.get_trials(deepcopy=False)[number]
            self._live[number] = optuna.Trial(self._study, frozen._trial_id)
        return self._live[number]

    def _read(self, number: int) -> TrialRecord:
        return self._record(_stored(self._study.get_trials(deepcopy=False)[number]))


def _stored(trial: FrozenTrial) -> StoredTrial:
    times = trial.datetime_start, trial.datetime_complete
    return StoredTrial(trial.number, trial.state.name, trial.values or (), trial.user_attrs, trial.constraints, *times)


def _read_early(problem: SpaceProblem, trial: FrozenTrial) -> list[Early]:
    """Return what a trial had measured at its rungs, as a sampler takes it."""
    return [
        Early((rung.progress,), rung.early_losses(problem.objectives, problem.early_metrics, problem.late))
        for rung in attributes.read_rungs(trial.user_attrs)
    ]
