"""What the verbs that retrain share: how they say how it goes, and how they print what came of it."""

import json
import time
from collections.abc import Callable

import typer
from rich.console import Console

from autopeft.cli.formats import TableFormat
from autopeft.cli.stopping import heed_termination
from autopeft.loops.retrain import RetrainPlan
from autopeft.report.retrained import summarise
from autopeft.report.table import show
from autopeft.report.words import count, score
from autopeft.study.retrained import Candidate, RetrainedFolder, SeedResult


class RetrainProgress:
    """One line a finished training, on standard error; in a terminal, a last line that says how long it may still take."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._status = self._console.status("")
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
        self.line(f"budget   {plan.budget.describe()}; the best epoch is kept")
        self.line(f"into     {plan.folder.path} ({n_total} trainings, {n_done} done)")
        if self._console.is_terminal:
            self._status.start()
            self._status.update("waiting for the first training")

    def seed_finished(self, candidate: Candidate, seed: int, outcome: SeedResult | str, n_done: int, n_total: int) -> None:
        """Print the training's line."""
        head = f"[{n_done:{len(str(n_total))}}/{n_total}] {candidate.name}, seed {seed}"
        if isinstance(outcome, str):
            self.line(f"{head} failed: {outcome}")
        else:
            found = f"test {self._metric} {score(outcome.test[self._metric])}, validation {score(outcome.validation[self._metric])}"
            kept = f"epoch {outcome.epoch:g} of {self._epochs}"
            self.line(f"{head}: {found} ({kept})  {count(outcome.trainable_parameters)} parameters  {outcome.seconds:.1f} s")
        minutes = (time.monotonic() - self._began) / max(1, n_done - self._n_before) * (n_total - n_done) / 60
        self._status.update(f"{n_done} of {n_total} trainings, about {minutes:.0f} min left")

    def line(self, text: str) -> None:
        """Print a line as it is."""
        self._console.print(text, markup=False)

    def stop(self) -> None:
        """End the last line."""
        self._status.stop()


def print_results(folder: RetrainedFolder, output: TableFormat) -> None:
    """Print what a folder holds, and write its retrained.json."""
    found = summarise(folder)
    if output is TableFormat.JSON:
        typer.echo(json.dumps(found.to_dict(), indent=2, allow_nan=False))
    elif output is TableFormat.CSV:
        typer.echo(found.to_csv(), nl=False)
    else:
        show(found.introduction(), found.tables(brief=Console().is_terminal))


def until_stopped(work: Callable[[RetrainProgress], RetrainedFolder]) -> RetrainedFolder:
    """Do some work; Ctrl-C or a termination ends it with everything kept."""
    heed_termination()
    progress = RetrainProgress()
    try:
        return work(progress)
    except KeyboardInterrupt:
        progress.line("stopped; all finished trainings are kept. The same command goes on.")
        raise typer.Exit(130) from None
    finally:
        progress.stop()
