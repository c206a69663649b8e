"""Weights & Biases: a group of runs, one a trial and one of the search. WANDB_PROJECT, WANDB_MODE and the like are heeded."""

import os
from collections.abc import Sequence
from typing import Any

import wandb

from autopeft.study.record import TrialRecord
from autopeft.trackers.callback import Callback, TrackedSearch, TrackedTrial, front_rows


class WandbRuns(Callback):
    """Curves over examples seen and configurations as runs; results over trials and the front's table in the search's run."""

    def search_started(self, search: TrackedSearch) -> None:
        """Begin the search's run, or go on with it."""
        self._search = search
        self._parent = self._run(search.id, search.name, "search", dict(search.settings))

    def trial_finished(self, trial: TrackedTrial) -> None:
        """Write a trial's run, and its point of the search."""
        number = trial.record.number
        run = self._run(f"{self._search.id}-{number:04d}", f"{self._search.name} {number}", "trial", trial.parameters)
        for step, values in trial.points:
            run.log(values, step=step)
        run.summary.update({**trial.results, "state": trial.record.state, "on_front": trial.on_front})
        run.finish(exit_code=int(trial.record.state == "failed"))
        self._parent.log({"trial": number, **trial.record.values})

    def search_finished(self, front: Sequence[TrialRecord]) -> None:
        """Write the front, and end the search's run."""
        if rows := front_rows(front):
            self._parent.log({"front": wandb.Table(columns=list(rows[0]), data=[list(row.values()) for row in rows])})
        self._parent.finish()

    def _run(self, run_id: str, name: str, job_type: str, config: dict[str, Any]) -> Any:
        return wandb.init(
            project=os.environ.get("WANDB_PROJECT", "autopeft"),
            dir=str(self._search.folder),
            id=run_id,
            name=name,
            group=f"{self._search.name} {self._search.id}",
            job_type=job_type,
            config=config,
            resume="allow",
            reinit="create_new",  # the search's run stays open beside its trials'
            settings=wandb.Settings(silent=True),
        )
