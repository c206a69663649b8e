"""TensorBoard: RUN/tensorboard with a folder a trial, and one of the search."""

from collections.abc import Sequence

from torch.utils.tensorboard import SummaryWriter

from autopeft.study.record import TrialRecord
from autopeft.trackers.callback import Callback, TrackedSearch, TrackedTrial, front_rows


class TensorBoardFiles(Callback):
    """Curves over examples seen, hyper-parameters with results, and the search's results over trials."""

    def search_started(self, search: TrackedSearch) -> None:
        """Begin in the run's folder."""
        self._search, self._folder = search, search.folder / "tensorboard"

    def trial_finished(self, trial: TrackedTrial) -> None:
        """Write a trial's folder, and its point of the search."""
        with SummaryWriter(str(self._folder / f"trial-{trial.record.number:04d}")) as writer:
            for step, values in trial.points:
                for name, value in values.items():
                    writer.add_scalar(name, value, step)
            if trial.results:
                writer.add_hparams(trial.parameters, {f"result/{name}": value for name, value in trial.results.items()}, run_name=".")
        with SummaryWriter(str(self._folder / "search")) as writer:
            for name in trial.record.values:
                writer.add_scalar(f"trials/{name}", trial.record.values[name], trial.record.number)

    def search_finished(self, front: Sequence[TrialRecord]) -> None:
        """Write the front as a table."""
        rows = front_rows(front)
        if rows:
            lines = [list(rows[0]), ["---"] * len(rows[0]), *([str(value) for value in row.values()] for row in rows)]
            with SummaryWriter(str(self._folder / "search")) as writer:
                writer.add_text("front", "\n".join(f"| {' | '.join(line)} |" for line in lines))
