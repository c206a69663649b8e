"""A report in words: all its sections, and those about the trials and their results."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from autopeft.objectives import TRAINABLE_PARAMETERS, Objective
from autopeft.paths import command
from autopeft.report.background import cost, importance, layers, provenance
from autopeft.report.blocks import Block, Code, Drawing, Folded, Section, detail_blocks, fold_if_long, text_columns
from autopeft.report.content import Report
from autopeft.report.formatting import better, count, in_unit, in_words, one_line, percentage, score
from autopeft.report.leaderboard import Column, Table, beats_trivial, head_note, tables, trivial_notes
from autopeft.report.retrained import RetrainedTable
from autopeft.study.record import TrialRecord
from autopeft.words import plural


def sections(report: Report) -> list[Section]:
    """Return the whole report; what a run has nothing of is left out."""
    parts: list[tuple[str, str, Callable[[Report], list[Block]]]] = [
        ("status", "How far it is", _status),
        ("summary", "In brief", _summary),
        ("front", "The Pareto front", _front),
        ("growth", "How the front grew", _growth),
        ("retrained", "Retrained at the full budget", _retrained),
        ("mistakes", "What is right and what is wrong", _mistakes),
        ("importance", "Which parameters mattered", importance),
        ("layers", "Which layers were chosen", layers),
        ("learning", "How trials learnt", _learning),
        ("trials", "The other trials", _others),
        ("cost", "What the search cost", cost),
        ("provenance", "How to run it again", provenance),
    ]
    return [Section(key, title, tuple(blocks)) for key, title, write in parts if (blocks := write(report))]


def _status(report: Report) -> list[Block]:
    status = report.status
    if status.state == "done":
        return []
    blocks: list[Block] = [Drawing.STATUS, status.words()]
    if status.state == "stopped":
        blocks.append(Code(command("search", "--resume", report.run)))
    if status.running:
        rows = tuple(
            (
                str(one.trial),
                "full" if one.is_confirmation else "low cost",
                f"{one.began:%H:%M:%S}" if one.began else "-",
                f"{one.progress:.0%}",
                one_line(one.configuration),
            )
            for one in status.running
        )
        columns = (Column("trial"), *text_columns("budget", "since"), Column("measured at"), *text_columns("configuration"))
        blocks.append(Table(f"Running ({len(rows)})", columns, rows))
    return blocks


def _growth(report: Report) -> list[Block]:
    if not report.growth.steps:
        return []
    about = "The hypervolume is what the front at low cost dominates: it grows when a trial is better or cheaper than what was there."
    return [about, Drawing.GROWTH, report.growth.words()]


def _mistakes(report: Report) -> list[Block]:
    """Show scores per class and the like of the trial to take first, or of the best."""
    wanted = [report.recommendation.trial if report.recommendation else None, report.best.number if report.best else None]
    for number in wanted:
        if number is None:
            continue
        for found, where in ((report.test_details, "retrained, on test data"), (report.details, "on validation data")):
            if details := found.get(number):
                about = f"Of trial {number}, {where}."
                if any(of_other for trial, of_other in report.details.items() if trial != number):  # not of those that write
                    about += " The page of each other trial has the same."
                return [about, *detail_blocks(details)]
    return []


def _summary(report: Report) -> list[Block]:
    header, board = report.header, report.leaderboard
    task = f" for the task {one_line(header.task)}" if header.task else ""
    model = f" the model {one_line(header.model)}" if header.model else ""
    groups = (("infeasible", board.infeasible), ("stopped early", board.stopped), ("waiting", board.paused))
    states = [("complete", board.complete), *groups, ("failed", board.failed), ("running", board.running)]
    ended = ", ".join(f"{len(some)} {what}" for what, some in states if some)
    goals = ", ".join(f"{better(objective)} {in_words(objective.name)}" for objective in board.objectives)
    blocks: list[Block] = [f"This search looked for parameter-efficient ways to fine-tune{model}{task}. Its goals: {goals}."]
    blocks.append(f"It tried {plural(len(board.records), 'configuration')}: {ended or 'none so far'}.")
    if report.best is None:
        return [*blocks, "No trial within the bounds has a result yet, so there is no front."]
    if report.recommendation:
        blocks.append(report.recommendation.words)
    blocks += [*trivial_notes(board, header), _first_looks(report)]
    return blocks if report.retrained else [*blocks, _CAUTION_CONFIRMED if board.is_confirmed else _CAUTION]


def _first_looks(report: Report) -> Table:
    """Return the trials to look at first, each with why."""
    board, whole = report.leaderboard, report.header.backbone_parameters
    leading = in_words(board.objectives[0].name)
    is_worth = report.knee is not None and all(beats_trivial(report.knee, one, report.header) for one in board.objectives)
    taken = next((one for one in board.records if report.recommendation and one.number == report.recommendation.trial), None)
    named = [("to take first", taken), (f"best {leading}", report.best)]
    named += [("best bargain: the front's bend", report.knee)] if is_worth and len(board.front) > 2 else []
    why: dict[int, list[str]] = {}
    for words, record in named:
        if record is not None:
            why.setdefault(record.number, []).append(words)
    found = {record.number: record for _, record in named if record is not None}
    objectives = [one for one in board.objectives if one != TRAINABLE_PARAMETERS]
    rows = tuple(
        (
            str(number),
            ", ".join(words),
            *(_value(found[number], one) for one in objectives),
            count(found[number].trainable_parameters),
            percentage(found[number].trainable_parameters, whole),
            one_line(found[number].configuration.describe()),
        )
        for number, words in why.items()
    )
    numbers = (*(in_words(one.name) for one in objectives), "parameters", "% of model")
    columns = (Column("trial"), *text_columns("why"), *map(Column, numbers), *text_columns("configuration"))
    budget = " at the full budget" if board.is_confirmed else ""
    return Table(f"Where to look first, measured{budget} on validation data", columns, rows)


def _value(record: TrialRecord, objective: Objective) -> str:
    value = record.values.get(objective.name)
    return score(value) if objective.name in record.metrics else in_unit(value, objective)


_CAUTION = (
    "All figures are of one training each at a low budget, and the best of many measurements is too good on average. "
    "autopeft retrain trains the front at the full budget and measures it on test data, with intervals."
)


_CAUTION_CONFIRMED = (
    "The front was trained at the full budget, each trial once, and chosen on validation data; the best of several is too good on "
    "average. autopeft retrain adds seeds and measures it on test data, with intervals."
)
_OF_OTHERS = "Other trials stand as they were at low cost, which can't be compared with them."


def _front(report: Report) -> list[Block]:
    board = report.leaderboard
    if not board.front:
        return []
    expected = report.expected
    blocks: list[Block] = [
        "A trial is on the front if no other is better in one goal without being worse in another. "
        + (f"These trials were confirmed: trained at the full budget, and measured there. {_OF_OTHERS} " if board.is_confirmed else "")
        + f"{head_note(report.header)} {_uncertainty(report)}",
        *_compared(report),
        Drawing.FRONT,
        tables(board, report.header, expected=expected.words if expected.trials else None)[0],
    ]
    measured = board.low_cost if board.is_confirmed else board.front
    verdict = expected.verdict([record.number for record in measured]) if measured else ""
    return [*blocks, verdict] if verdict else blocks


def _compared(report: Report) -> list[Block]:
    if not report.references:
        return []
    leading = in_words(report.leaderboard.objectives[0].name)
    each = [
        f"{one.name} {score(one.value)}" + (f" with {count(one.trainable_parameters)} parameters" if one.trainable_parameters else "")
        for one in report.references
    ]
    return [f"To compare with, {leading} on the same validation data: {', '.join(each)}."]


def _uncertainty(report: Report) -> str:
    if report.retrained:
        return "Each point is one training with one seed on validation data; a section below has intervals over seeds on test data."
    if report.expected.trials:
        return "Each point is one training with one seed on validation data."
    return "Each point is one training with one seed on validation data, so how far it would scatter is not known."


def _retrained(report: Report) -> list[Block]:
    blocks: list[Block] = []
    if report.retrained:
        blocks += [*_introduction(report.retrained), Drawing.RETRAINED, *_retrained_tables(report.retrained)]
    for table in report.transferred:
        blocks += ["The same configurations elsewhere:", *_introduction(table), *_retrained_tables(table)]
    return blocks


def _introduction(table: RetrainedTable) -> list[Block]:
    return [f"{line.strip().removesuffix('.')}." for line in table.introduction()]


def _retrained_tables(table: RetrainedTable) -> list[Block]:
    """Return the task's own metric first, and all metrics to be unfolded."""
    results, *comparisons = table.tables(brief=True)
    whole = replace(table.tables()[0], title="The same with all test metrics")
    return [results, *comparisons, *([Folded(whole)] if len(whole.columns) > len(results.columns) else [])]


def _learning(report: Report) -> list[Block]:
    found = report.learning_curves
    blocks: list[Block] = []
    if any(len(curve.steps) > 1 for curve in found.curves):
        blocks += ["Validation metrics while training, over the share of a trial's budget that is done.", Drawing.CURVES]
    if found.rungs:
        blocks.append(
            "Trials wait at rungs, and only the best go on. "
            f"Stopping the others saved what {found.budgets_saved:.1f} whole trials would have spent."
        )
        rows = tuple(
            (f"{rung.progress:.0%}", *map(str, (rung.n_reached, rung.n_went_on, rung.n_stopped, rung.n_waiting))) for rung in found.rungs
        )
        columns = ("rung, share of the budget", "reached it", "went on", "stopped", "waiting")
        blocks.append(Table("What the rungs stopped", tuple(map(Column, columns)), rows))
    if found.unreadable:
        blocks.append(f"The curves of these trials can't be read: {', '.join(map(str, found.unreadable))}.")
    if found.curves:
        blocks.append(Folded(_curve_table(report)))
    return blocks


def _curve_table(report: Report) -> Table:
    names = list(dict.fromkeys(name for curve in report.learning_curves.curves for step in curve.steps for name in step.metrics))
    columns = (Column("trial"), *text_columns("state"), *map(Column, ("done", "examples seen", "training loss", *map(in_words, names))))
    rows = tuple(
        (
            str(curve.trial),
            "front" if curve.on_front else curve.state,
            f"{step.progress:.0%}",
            count(step.examples_seen),
            score(step.train_loss),
            *(score(step.metrics.get(name)) for name in names),
        )
        for curve in report.learning_curves.curves
        for step in curve.steps
    )
    return Table(f"Learning curves in numbers ({plural(len(report.learning_curves.curves), 'trial')})", columns, rows)


def _others(report: Report) -> list[Block]:
    found: Sequence[Table] = tables(report.leaderboard, report.header)
    return [fold_if_long(table) for table in (found[1:] if report.leaderboard.front else found)]
