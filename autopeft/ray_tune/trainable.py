"""A trainable for Ray Tune: a configuration of PEFT modules on a backbone that stays loaded."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.result import DONE, SHOULD_CHECKPOINT

from autopeft.budget import Budget
from autopeft.errors import AutopeftError
from autopeft.loops.planning import SearchPlan, runner_settings
from autopeft.loops.workers import make_runner
from autopeft.objectives import COSTS
from autopeft.ray_tune.results import PROGRESS
from autopeft.ray_tune.searcher import SEED
from autopeft.space.space import SearchSpace
from autopeft.study.attributes import value_of
from autopeft.training.measurement import Assignment, Measurement, Outcome, RunnerSettings

MEASUREMENT, STATE = "measurement.json", "training.safetensors"
"""Files of a checkpoint: what a trial has measured, and what its training needs to go on. The second is missing from a trial's last one."""


@dataclass(frozen=True)
class Work:
    """What every trial of a Tuner has in common."""

    settings: RunnerSettings
    space: SearchSpace
    budget: Budget
    seed: int
    stops: tuple[float, ...]
    """Shares of the budget after which a trial reports, the last of them 1."""


class PeftTrainable(tune.Trainable):  # type: ignore[misc]
    """Trains a point of a search space; for `tune.Tuner(PeftTrainable.of(plan), ...)`.

    The backbone and the encoded data are loaded once an actor: with `TuneConfig(reuse_actors=True)`, once for all trials of that actor. A
    trial's configuration is a point of the space, and `seed`. A step trains up to the plan's next rung, or for an epoch where there is
    none, and reports the metrics, every cost by the name it has as an objective, and `progress`, the share of the budget that is done.

    A checkpoint holds safetensors and JSON. It is what training needs to go on, also in another process; the last one of a trial that came
    to its end holds the trained adapter, which `autopeft.load` puts onto the backbone.
    """

    @classmethod
    def of(cls, plan: SearchPlan, *, threads: int | None = 1) -> type["PeftTrainable"]:
        """Return the trainable of a plan; its data go to Ray's object store once.

        Args:
            plan: What is searched.
            threads: Threads of torch on the CPU, as many as `tune.with_resources` gives a trial. None: torch's choice.
        """
        stops = (*plan.request.rungs, 1.0) if plan.request.rungs else plan.budget.epoch_ends
        settings = replace(runner_settings(plan.request, plan.backbone, plan.data, threads), pack=1)  # Ray Tune counts trials itself
        made: type[PeftTrainable] = tune.with_parameters(
            cls, work=Work(settings, plan.space, plan.budget, plan.request.seed, stops)
        )  # fmt: skip
        return made

    def setup(self, config: dict[str, Any], work: Work) -> None:
        """Load the backbone."""
        self._work = work
        self._runner = make_runner(work.settings)
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take up another trial on the same backbone."""
        self._config: Mapping[str, Any] = new_config
        self._outcome: Outcome | None = None
        return True

    def step(self) -> dict[str, Any]:
        """Train up to the next stop.

        Raises:
            AutopeftError: Training failed.
        """
        assignment = self._assignment()
        outcome = self._runner.run(assignment)
        if outcome.measurement is None:
            error = AutopeftError(outcome.error)
            error.add_note(outcome.traceback)
            raise error
        self._outcome = replace(outcome, assignment=replace(assignment, checkpoint=None))
        done = outcome.measurement.progress == 1
        costs = {name: value_of(cost, outcome.measurement) for name, cost in COSTS.items()}
        return {**outcome.measurement.metrics, **costs, PROGRESS: outcome.measurement.progress, DONE: done, SHOULD_CHECKPOINT: done}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write what the trial has come to."""
        if self._outcome is None or self._outcome.measurement is None:
            return
        folder = Path(checkpoint_dir)
        files = {MEASUREMENT: json.dumps(asdict(self._outcome.measurement)).encode(), **self._outcome.adapter}
        if self._outcome.state:
            files[STATE] = self._outcome.state
        for name, content in files.items():
            (folder / name).write_bytes(content)

    def load_checkpoint(self, checkpoint: str) -> None:
        """Go on from what `save_checkpoint` wrote."""
        folder = Path(checkpoint)
        if not (folder / MEASUREMENT).is_file():  # it was saved before its first step
            return
        measurement = Measurement.from_dict(json.loads((folder / MEASUREMENT).read_text(encoding="utf-8")))
        state = (folder / STATE).read_bytes() if (folder / STATE).is_file() else b""
        self._outcome = replace(Outcome(self._assignment()), measurement=measurement, state=state)

    def _assignment(self) -> Assignment:
        measured = None if self._outcome is None else self._outcome.measurement
        progress = 0.0 if measured is None else measured.progress
        stop = next((stop for stop in self._work.stops if stop > progress + 1e-9), 1.0)
        configuration = self._work.space.configuration(self._config)
        seed = int(self._config.get(SEED, self._work.seed))
        return Assignment(0, configuration, self._work.budget, seed, (stop,), None if self._outcome is None else self._outcome.checkpoint)
