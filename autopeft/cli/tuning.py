"""How tuning a baseline tells people how it goes: one line a trial."""

from collections.abc import Callable

from autopeft.loops.search import SearchPlan
from autopeft.report.words import score
from autopeft.study.directory import RunDirectory
from autopeft.study.record import TrialRecord


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
        self._line(f"tuning {self._name}: {plan.request.trials} trials, {n_done} done; {plan.budget.describe()}")

    def trial_finished(self, record: TrialRecord, on_front: bool, n_done: int, n_trials: int) -> None:
        """Print the trial's line."""
        result = f"failed: {record.error}" if record.state == "failed" else f"{self._metric} {score(record.metrics[self._metric])}"
        self._line(f"[{n_done}/{n_trials}] {self._name} {result}  {record.configuration.describe()}")
