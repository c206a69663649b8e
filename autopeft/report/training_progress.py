"""How retraining, and tuning baselines before it, say how they go: on standard error, a line each."""

import time
from collections.abc import Callable

from autopeft.loops.planning import SearchPlan
from autopeft.loops.retrain import RetrainPlan
from autopeft.report.formatting import count, duration, score
from autopeft.report.output import Output, Terminal
from autopeft.study.directory import RunDirectory
from autopeft.study.record import TrialRecord
from autopeft.study.retrained import Candidate, SeedResult
from autopeft.words import plural


class RetrainProgress:
    """One line a finished training, and a last one, where it can change, that says how long it may still take.

    Args:
        output: Where the lines go; None: standard error.
    """

    def __init__(self, output: Output | None = None) -> None:
        self._output = Terminal() if output is None else output
        self._metric, self._epochs = "", 0
        self._began, self._n_before = time.monotonic(), 0

    def started(self, plan: RetrainPlan, n_done: int, n_total: int) -> None:
        """Print what is trained on what."""
        self._metric, self._epochs = plan.data.task.metric, plan.budget.epochs
        self._began, self._n_before = time.monotonic(), n_done
        self.line(f"task     {plan.data.task.name}")
        for note in plan.data.notes:
            self.line(f"         {note}")
        self.line(f"model    {plan.backbone.name} in {plan.backbone.path}")
        self.line(f"budget   {plan.budget.describe(len(plan.data.train), len(plan.data.validation))}; the best epoch is kept")
        self.line(f"into     {plan.folder.path} ({n_total} trainings, {n_done} done)")
        self._output.status("waiting for the first training")

    def seed_finished(self, candidate: Candidate, seed: int, outcome: SeedResult | str, n_done: int, n_total: int) -> None:
        """Print the training's line."""
        head = f"[{n_done:{len(str(n_total))}}/{n_total}] {candidate.name}, seed {seed}"
        if isinstance(outcome, str):
            self.line(f"{head} failed: {outcome}")
        else:
            found = f"test {self._metric} {score(outcome.test[self._metric])}, validation {score(outcome.validation[self._metric])}"
            kept = f"epoch {outcome.epoch:g} of {self._epochs}"
            self.line(f"{head}: {found} ({kept})  {count(outcome.trainable_parameters)} parameters  {outcome.seconds:.1f} s")
        seconds = (time.monotonic() - self._began) / max(1, n_done - self._n_before) * (n_total - n_done)
        left = f", about {duration(seconds)} left" if n_done < n_total else ""
        self._output.status(f"{n_done} of {n_total} trainings{left}")

    def line(self, text: str) -> None:
        """Print a line as it is."""
        self._output.line(text)

    def stop(self) -> None:
        """End the last line."""
        self._output.end()


class TuningProgress:
    """Prints a line for every finished trial.

    Args:
        name: What the baseline is called.
        line: Prints a line.
    """

    def __init__(self, name: str, line: Callable[[str], None]) -> None:
        self._name, self._line, self._metric = name, line, ""

    def started(self, plan: SearchPlan, run: RunDirectory, n_done: int) -> None:
        """Print what is tuned."""
        self._metric = plan.data.task.metric
        budget = plan.budget.describe(len(plan.data.train), len(plan.data.validation))
        confirmed = f", {plan.n_confirmations} of them at the full budget too" if plan.n_confirmations else ""
        self._line(f"tuning {self._name}: {plural(plan.request.trials, 'trial')}{confirmed}, {n_done} done; {budget}")

    def trial_finished(self, record: TrialRecord, on_front: bool, n_done: int, n_trials: int) -> None:
        """Print the trial's line."""
        result = f"failed: {record.error}" if record.state == "failed" else f"{self._metric} {score(record.metrics[self._metric])}"
        self._line(f"[{n_done}/{n_trials}] {self._name} {result}  {record.configuration.describe()}")

    def trial_confirmed(self, record: TrialRecord, on_front: bool, n_done: int, n_total: int) -> None:
        """Print what a trial came to at the full budget."""
        found = record.confirmation
        assert found is not None
        result = f"failed: {found.error}" if found.state == "failed" else f"{self._metric} {score(found.metrics[self._metric])}"
        self._line(f"[{n_done}/{n_total}] {self._name} at the full budget {result}  {record.configuration.describe()}")
