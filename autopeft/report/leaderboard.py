"""What the tables of a run hold: the front, the others by rank, the failed, and the same as rows for other programs."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from autopeft.configuration import Configuration
from autopeft.objectives import TRAINABLE_PARAMETERS, Objective
from autopeft.report.formatting import better, count, in_unit, in_words, one_line, percentage, score, seconds
from autopeft.report.header import RunHeader
from autopeft.study.record import TrialRecord, front, low_cost_front
from autopeft.study.rows import finite

BRIEF_DOMINATED = 10
"""Dominated trials in a brief table."""


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    title: str
    is_number: bool = True
    """Numbers are aligned to the right, text to the left."""


@dataclass(frozen=True)
class Table:
    """A table as text, before anyone decides how to draw it."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Leaderboard:
    """A run's trials: those on the front, those it dominates, those above a bound, and those without a final result."""

    objectives: tuple[Objective, ...]
    front: tuple[TrialRecord, ...]
    """In rising order of the last objective's loss, so by parameters in an ordinary run. Of confirmed trials, where there are any, as they
    were at the full budget."""
    confirmed: tuple[TrialRecord, ...]
    """The other confirmed trials as they were at the full budget, best first by the first objective."""
    low_cost: tuple[TrialRecord, ...]
    """Where the front is of confirmed trials: those that aren't, and that no other dominates at low cost."""
    dominated: tuple[TrialRecord, ...]
    """The other trials at low cost, best first by the first objective."""
    infeasible: tuple[TrialRecord, ...]
    """Complete, but above a bound on what they cost; best first."""
    stopped: tuple[TrialRecord, ...]
    """Measured at a rung and never let go on from it."""
    paused: tuple[TrialRecord, ...]
    """Waiting at a rung."""
    failed: tuple[TrialRecord, ...]
    running: tuple[TrialRecord, ...]

    @classmethod
    def of(cls, records: Sequence[TrialRecord], objectives: Sequence[Objective]) -> "Leaderboard":
        """Sort trials."""
        on_front = front(records, objectives)
        numbers = {record.number for record in on_front}
        complete = [record.at_full_budget() if record.confirmed else record for record in records if record.state == "complete"]
        others = sorted((record for record in complete if record.number not in numbers), key=lambda record: _rank(record, objectives[0]))
        within, infeasible = (tuple(one for one in others if bool(one.exceeds) == exceeds) for exceeds in (False, True))
        confirmed = tuple(record for record in within if record.confirmed)
        cheap = {one.number for one in low_cost_front(records, objectives)} if any(one.confirmed for one in on_front) else set()
        unconfirmed = [record for record in within if not record.confirmed]
        low_cost, dominated = (tuple(one for one in unconfirmed if (one.number in cheap) == is_on) for is_on in (True, False))
        rest = (tuple(record for record in records if record.state == state) for state in ("stopped", "paused", "failed", "running"))
        return cls(tuple(objectives), tuple(on_front), confirmed, low_cost, dominated, infeasible, *rest)

    @property
    def is_confirmed(self) -> bool:
        """Whether the front is of trials at the full budget."""
        return any(record.confirmed for record in self.front)

    @property
    def off_front(self) -> tuple[TrialRecord, ...]:
        """The trials within the bounds that are not on the front."""
        return (*self.confirmed, *self.low_cost, *self.dominated)

    @property
    def complete(self) -> tuple[TrialRecord, ...]:
        """All trials with a final result: the front, then the others by rank, then the infeasible."""
        return (*self.front, *self.off_front, *self.infeasible)

    @property
    def records(self) -> tuple[TrialRecord, ...]:
        """All trials, in the order of `rows`."""
        return (*self.complete, *self.stopped, *self.paused, *self.failed, *self.running)

    @property
    def metric_names(self) -> list[str]:
        """Every metric that a trial reports, the objectives' own first."""
        reported = {name: None for record in self.complete for name in record.metrics}
        leading = [objective.name for objective in self.objectives if objective.name in reported]
        return list(dict.fromkeys([*leading, *reported]))

    def rows(self) -> list[dict[str, Any]]:
        """Return one JSON object per trial: the front, the others by rank, the infeasible, stopped, paused, failed and running."""
        return [*self.front_rows(), *(finite(record.to_row(on_front=False)) for record in self.records[len(self.front) :])]

    def front_rows(self) -> list[dict[str, Any]]:
        """Return one JSON object per trial on the front."""
        return [finite(record.to_row(on_front=True)) for record in self.front]


def _rank(record: TrialRecord, objective: Objective) -> tuple[bool, float, int]:
    """Return a sorting key: best first, what has no score last (a NaN would leave the others unsorted)."""
    loss = objective.sign * record.values[objective.name]
    return (math.isnan(loss), 0.0 if math.isnan(loss) else loss, record.number)


def tables(
    leaderboard: Leaderboard,
    header: RunHeader,
    *,
    brief: bool = False,
    expected: Callable[[int], str] | None = None,
    exports_to: Callable[[Configuration], Sequence[str]] | None = None,
) -> list[Table]:
    """Return the tables that have rows: the front, other confirmed trials, the unconfirmed front, the dominated and all others.

    Args:
        leaderboard: The trials.
        header: The run; says what percentages refer to.
        brief: Leave out all but the best dominated trials, so that the front stays in sight on a terminal, and the metrics that are
            no objectives, so that the configuration gets room.
        expected: By trial of the low-cost front, what the first objective would be on average over seeds; a column of its own.
        exports_to: By configuration, the targets of `autopeft export` that hold all of it; a column of its own.
    """
    objectives = {objective.name for objective in leaderboard.objectives}
    names = [name for name in leaderboard.metric_names if name in objectives or not brief]
    costs = [
        objective for objective in leaderboard.objectives if objective.name not in (*leaderboard.metric_names, TRAINABLE_PARAMETERS.name)
    ]
    numbers = ("trial", *map(in_words, names), "parameters", "% of model", *(cost.name.replace("_", " ") for cost in costs), "seconds")
    texts = ("exports to", "configuration") if exports_to is not None else ("configuration",)
    columns = (*map(Column, numbers), *(Column(title, is_number=False) for title in texts))
    dominated = leaderboard.dominated[: BRIEF_DOMINATED if brief else None]
    title = f"Dominated trials, best first ({len(leaderboard.dominated)})"
    if len(dominated) < len(leaderboard.dominated):
        title = f"Dominated trials, the best {len(dominated)} of {len(leaderboard.dominated)} (--all shows the rest)"
    at_full_budget = ", confirmed at the full budget" if leaderboard.is_confirmed else ""
    front, confirmed, low_cost = (
        Table(f"{title} ({len(records)})", columns, _result_rows(records, names, costs, header, exports_to))
        for title, records in (
            (f"Pareto front{at_full_budget}", leaderboard.front),
            ("Confirmed at the full budget, and dominated", leaderboard.confirmed),
            ("Front at low cost, not confirmed", leaderboard.low_cost),
        )
    )
    if expected is not None:
        name = leaderboard.objectives[0].name
        if leaderboard.is_confirmed:
            low_cost = _with_expected(low_cost, name, leaderboard.low_cost, expected)
        else:
            front = _with_expected(front, name, leaderboard.front, expected)
    found = [
        front,
        confirmed,
        low_cost,
        Table(title, columns, _result_rows(dominated, names, costs, header, exports_to)),
        _infeasible_table(leaderboard.infeasible, columns, _result_rows(leaderboard.infeasible, names, costs, header, exports_to)),
        _rung_table("Stopped at a rung", leaderboard.stopped, names, header),
        _rung_table("Waiting at a rung", leaderboard.paused, names, header),
        _failed_table(leaderboard.failed),
    ]
    return [table for table in found if table.rows]


def introduction(leaderboard: Leaderboard, header: RunHeader) -> list[str]:
    """Return the lines that stand above the tables."""
    task = f", task {one_line(header.task)}" if header.task else ""
    size = f" of {count(header.backbone_parameters)} parameters" if header.backbone_parameters else ""
    model = f", model {one_line(header.model)}{size}" if header.model else ""
    states = (
        ("complete", leaderboard.complete),
        ("confirmed at the full budget", tuple(one for one in leaderboard.complete if one.confirmed)),
        ("infeasible", leaderboard.infeasible),
        ("stopped", leaderboard.stopped),
        ("paused", leaderboard.paused),
        ("failed", leaderboard.failed),
        ("running", leaderboard.running),
    )
    lines = [
        f"Run {one_line(header.name)}{task}{model}",
        f"Budget: {header.budget} a trial" if header.budget else "",
        "Trials: " + ", ".join(f"{len(trials)} {state}" for state, trials in states if trials or state == "complete"),
        "Better: " + ", ".join(f"{better(one)} {one.name.replace('_', ' ')}" for one in leaderboard.objectives),
        head_note(header),
        *trivial_notes(leaderboard, header),
    ]
    return [line for line in lines if line]


def trivial_notes(leaderboard: Leaderboard, header: RunHeader) -> list[str]:
    """Say what no training reaches too, and how many trials do better."""
    complete = leaderboard.complete
    return [
        f"The same answer for every example reaches {in_words(one.name)} {_trivial(one.name, leaderboard, header)}: "
        f"{sum(beats_trivial(record, one, header) for record in complete)} of {len(complete)} complete trials do better."
        for one in leaderboard.objectives
        if one.name in header.trivial_scores and complete
    ]


def _trivial(name: str, leaderboard: Leaderboard, header: RunHeader) -> str:
    """Return the score at low cost, and that at the full budget where another one counts there."""
    low, full = (score(header.trivial(is_confirmed=is_confirmed)[name]) for is_confirmed in (False, True))
    return low if low == full or not leaderboard.is_confirmed else f"{low} ({full} at the full budget)"


def beats_trivial(record: TrialRecord, objective: Objective, header: RunHeader) -> bool:
    """Return whether a trial is better by an objective than the same answer for every example; true where that isn't known."""
    trivial = header.trivial(is_confirmed=record.low_cost is not None).get(objective.name)
    return trivial is None or objective.sign * record.values[objective.name] < objective.sign * trivial


def head_note(header: RunHeader) -> str:
    """Say what a trial's parameters don't include."""
    if header.head_parameters == 0:
        return "Parameters are those of the PEFT modules; nothing else is trained."
    head = f"its {count(header.head_parameters)} parameters" if header.head_parameters is not None else "its parameters"
    return f"Parameters are those of the PEFT modules; the task head is trained in every trial, {head} come on top."


def _result_rows(
    records: Sequence[TrialRecord],
    names: Sequence[str],
    costs: Sequence[Objective],
    header: RunHeader,
    exports_to: Callable[[Configuration], Sequence[str]] | None,
) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            str(record.number),
            *(score(record.metrics.get(name)) for name in names),
            count(record.trainable_parameters),
            percentage(record.trainable_parameters, header.backbone_parameters),
            *(in_unit(record.values.get(one.name), one) for one in costs),
            seconds(record.seconds),
            *((" ".join(exports_to(record.configuration)),) if exports_to is not None else ()),
            one_line(record.configuration.describe()),
        )
        for record in records
    )


def _with_expected(table: Table, name: str, records: Sequence[TrialRecord], expected: Callable[[int], str]) -> Table:
    """Return a front's table with what is expected beside the first objective, or the trial's number if that is no metric."""
    place = 1 + next((index for index, column in enumerate(table.columns) if column.title == name), 0)
    columns = (*table.columns[:place], Column(f"expected {name}".replace("_", " ")), *table.columns[place:])
    words = [expected(record.number) for record in records]
    return Table(table.title, columns, tuple((*row[:place], one, *row[place:]) for row, one in zip(table.rows, words, strict=True)))


def _infeasible_table(infeasible: Sequence[TrialRecord], columns: Sequence[Column], results: Sequence[tuple[str, ...]]) -> Table:
    above = [", ".join(name.replace("_", " ") for name in record.exceeds) for record in infeasible]
    rows = [(*row[:-1], why, row[-1]) for row, why in zip(results, above, strict=True)]
    columns = (*columns[:-1], Column("above its bound", is_number=False), columns[-1])
    return Table(f"Infeasible trials, best first ({len(infeasible)})", columns, tuple(rows))


def _rung_table(title: str, records: Sequence[TrialRecord], names: Sequence[str], header: RunHeader) -> Table:
    measured = {name for record in records for rung in record.rungs[-1:] for name in rung.metrics}
    names = [name for name in names if name in measured]  # what a model writes is measured at the end alone
    numbers = ("trial", "done", *(f"{in_words(name)} there" for name in names), "parameters", "% of model", "seconds")
    rows = tuple(
        (
            str(record.number),
            f"{record.progress:.0%}",
            *(score(found.get(name)) for name in names),
            count(record.trainable_parameters),
            percentage(record.trainable_parameters, header.backbone_parameters),
            seconds(record.seconds),
            one_line(record.configuration.describe()),
        )
        for record in records
        for found in [record.rungs[-1].metrics if record.rungs else {}]
    )
    return Table(f"{title} ({len(records)})", (*map(Column, numbers), Column("configuration", is_number=False)), rows)


def _failed_table(failed: Sequence[TrialRecord]) -> Table:
    columns = (Column("trial"), Column("seconds"), Column("reason", is_number=False), Column("configuration", is_number=False))
    rows = ((str(one.number), seconds(one.seconds), one_line(one.error) or "-", one_line(one.configuration.describe())) for one in failed)
    return Table(f"Failed trials ({len(failed)})", columns, tuple(rows))
