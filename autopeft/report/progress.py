"""How a search tells people how it goes: on standard error, so that standard output holds the result alone."""

import math
import time
from datetime import datetime, timedelta
from itertools import islice

import numpy as np

from autopeft.loops.confirm import cost_ratio
from autopeft.loops.planning import SearchPlan
from autopeft.methods.counting import count_parameters
from autopeft.paths import command
from autopeft.report.costs import SearchCosts
from autopeft.report.expected import ExpectedFront
from autopeft.report.formatting import better, count, duration, score
from autopeft.report.header import RunHeader
from autopeft.report.leaderboard import Leaderboard
from autopeft.report.output import Output, Terminal
from autopeft.report.table import show_tables
from autopeft.request import AUTO
from autopeft.study.directory import RunDirectory
from autopeft.study.reader import StudyReader
from autopeft.study.record import EarlyMetrics, TrialRecord, best, early_metric
from autopeft.words import plural

N_EXAMPLES = 5
MAX_DRAWN = 2000
"""A tight bound leaves few of the points that are drawn."""


class ConsoleProgress:
    """One line a finished trial, and how long it may still take: as a last line that changes, or else now and then.

    Args:
        output: Where the lines go; None: standard error.
    """

    def __init__(self, output: Output | None = None) -> None:
        self._output = Terminal() if output is None else output
        self._metric = ""
        self._early: EarlyMetrics = {}
        self._run: RunDirectory | None = None
        self._began = time.monotonic()
        self._n_before = 0
        self._confirming = 0.0
        """How many trials' cost all confirmations have."""
        self._deadline = math.inf

    def started(self, plan: SearchPlan, run: RunDirectory, n_done: int) -> None:
        """Print every setting that decides what a trial costs, and where it all goes."""
        self._run, self._metric, self._n_before = run, plan.data.task.metric, n_done
        self._early = plan.problem.early_metrics
        self._began = time.monotonic()
        self._confirming = plan.n_confirmations * cost_ratio(plan.budget, len(plan.data.train))
        if plan.request.time_limit:
            self._deadline = self._began + 60 * plan.request.time_limit
        self._print_plan(plan)
        asked = plan.request
        self._line(f"run      {run.path} ({plural(asked.trials, 'trial')}, {n_done} done), sampler {asked.sampler}, seed {asked.seed}")
        self._output.status("waiting for the first trial")

    def planned(self, plan: SearchPlan) -> None:
        """Print what a search would do: the plan, and some configurations with their sizes."""
        self._print_plan(plan)
        rng = np.random.default_rng(plan.request.seed)
        drawn = (plan.problem.sample(1, rng)[0] for _ in range(MAX_DRAWN))
        for params in islice((one for one in drawn if plan.problem.key(one) is not None), N_EXAMPLES):
            configuration = plan.problem.configuration(params)
            print(f"{count(count_parameters(configuration, plan.facts.topology)):>12} parameters: {configuration.describe()}")

    def trial_finished(self, record: TrialRecord, on_front: bool, n_done: int, n_trials: int) -> None:
        """Print the trial's line."""
        width = len(str(n_trials))
        head = f"[{n_done:{width}}/{n_trials}] trial {record.number:{width}} "
        if record.state == "failed":
            self._line(f"{head} failed: {record.error}")
        elif record.state == "paused":
            rung = record.rungs[-1]
            early = early_metric(rung.metrics, self._early)
            found = f"{early} {score(rung.metrics[early])}  " if early else ""
            self._line(f"{head} {found}waits at {rung.progress:.0%} of its budget  {record.configuration.describe()}")
        else:
            result = f"{self._metric} {score(record.metrics[self._metric])}  {count(record.trainable_parameters):>11} parameters"
            place = "front" if on_front else "above the bounds" if record.exceeds else "     "
            self._line(f"{head} {result}  {record.seconds:6.1f} s  {place}  {record.configuration.describe()}")
        left = self._left(n_done, n_trials)
        done = f"{n_done} of {plural(n_trials, 'trial')}"
        self._output.status(f"{done}, {left}" if n_done < n_trials else done)
        n_here = n_done - self._n_before
        if not self._output.changes and n_here > 1 and n_here & (n_here - 1) == 0 and n_done < n_trials:  # 2, 4, 8, ...
            self._line(f"         {left}")
        self._show()

    def trial_confirmed(self, record: TrialRecord, on_front: bool, n_done: int, n_total: int) -> None:
        """Print what a trial came to at the full budget."""
        found = record.confirmation
        assert found is not None
        head = f"[{n_done}/{n_total}] trial {record.number} at the full budget"
        if found.state == "failed":
            self._line(f"{head} failed: {found.error}")
        else:
            result = f"{self._metric} {score(found.metrics[self._metric])} (at low cost {score(record.metrics[self._metric])})"
            place = "front" if on_front else "above the bounds" if found.exceeds else "     "
            self._line(
                f"{head}: {result}  {count(record.trainable_parameters)} parameters  {found.seconds:.1f} s  {place}  "
                f"{record.configuration.describe()}"
            )
        self._output.status(f"{n_done} of {plural(n_total, 'confirmation')}")
        self._show()

    def _left(self, n_done: int, n_trials: int) -> str:
        """Say how long the rest takes if it goes on like this, and when it will be done."""
        now = time.monotonic()
        seconds = (now - self._began) / max(1, n_done - self._n_before) * (n_trials - n_done + self._confirming)
        stops = max(0.0, self._deadline - now)
        end = datetime.now() + timedelta(seconds=min(seconds, stops))
        if stops < seconds:
            return f"{duration(stops)} left of --time-limit, until about {end:%H:%M}"
        return f"about {duration(seconds)} left, done about {end:%H:%M}"

    def finished(self, run: RunDirectory) -> None:
        """Print the front on standard output, and what can be done next."""
        self.end()
        study = StudyReader.open(run)
        records, objectives = study.records(), study.objectives
        leaderboard, header = Leaderboard.of(records, objectives), RunHeader.from_settings(run.settings(), run.path.name)
        show_tables(leaderboard, header, ExpectedFront.of(records, objectives, study.expectations(), header.n_validation))
        self._line("")
        self.summary(study)
        if leaderboard.front:
            winner = best(leaderboard.front, study.objectives).number
            self._line(f"Next: {command('plot', run.path)}   or   {command('export', run.path, '--trial', winner, '--to', 'script')}")

    def summary(self, study: StudyReader) -> None:
        """Print what the trials cost."""
        costs = SearchCosts.of(study.records(), study.times())
        amounts = [(costs.wall_seconds, ""), (costs.cpu_seconds, " of processor time"), (costs.gpu_seconds, " of GPU time")]
        parts = [f"{duration(seconds)}{what}" for seconds, what in amounts if seconds]
        trials = plural(costs.n_trials, "trial") + (f" and {plural(costs.n_confirmed, 'confirmation')}" if costs.n_confirmed else "")
        self._line(f"{trials} took {', '.join(parts) or 'no time'}; proposing them took {duration(costs.suggestion_seconds)}.")

    def end(self) -> None:
        """Take the last line away."""
        self._output.end()

    def stopped(self) -> None:
        """Say that nothing is lost, and how to go on."""
        self.end()
        if self._run is None:
            self._line("stopped before the first trial; nothing was written")
        else:
            self._line(f"stopped; all finished trials are kept. Go on with: {command('search', '--resume', self._run.path)}")

    def _print_plan(self, plan: SearchPlan) -> None:
        facts, data = plan.facts, plan.data
        self._line(f"task     {data.task.name}: {len(data.train):,} training and {plural(len(data.validation), 'validation example')}")
        for note in data.notes:
            self._line(f"         {note}")
        size = f"{plural(facts.topology.n_layers, 'layer')}, {facts.backbone_parameters:,} parameters"
        self._line(f"model    {plan.backbone.name} ({size}) in {plan.backbone.path}")
        self._line(f"space    {plan.space.name}: {plan.space.size:,.0f} combinations x learning rate")
        for reason in plan.left_out:
            self._line(f"         {reason}")
        self._line(f"goal     {', '.join(f'{better(one)} {one.name}' for one in plan.objectives)}")
        for constraint in plan.problem.constraints:
            self._line(f"         {constraint.objective.name} up to {constraint.upper:,.10g} {constraint.objective.unit}")
        for name, point in plan.start.items():
            self._line(f"start    {name}: {plan.space.configuration(point).describe()}")
        self._line(f"trial    {plan.budget.describe(len(data.train), len(data.validation))}, {facts.precision} on {facts.device}")
        if facts.pack > 1:
            self._line(f"         {facts.pack} at once in a worker where memory allows, over one copy of the model (--pack)")
        elif plan.request.pack != AUTO and plan.request.unpacked_for:
            self._line(f"         one at a time in a worker, whatever --pack says: {plan.request.unpacked_for} is measured")
        ratio = cost_ratio(plan.budget, len(data.train))
        if plan.n_confirmations:
            n = plural(plan.n_confirmations, "trial")
            self._line(f"confirm  {n} at the full budget, each as much training as {ratio:.1f} others: {plan.budget.full().describe()}")
        elif plan.request.confirm is None and ratio > plan.request.trials:
            self._line(f"confirm  none: one would be as much training as {ratio:,.0f} trials; --confirm N asks for some")

    def _line(self, text: str) -> None:
        self._output.line(text)

    def _show(self) -> None:
        if self._run is not None:
            self._output.show(self._run)
