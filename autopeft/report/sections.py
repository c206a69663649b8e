"""A report in words: all its sections, and those about the trials and their results."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from autopeft.inference import CONFIDENCE
from autopeft.objectives import TRAINABLE_PARAMETERS
from autopeft.report.background import cost, importance, layers, provenance
from autopeft.report.blocks import Block, Drawing, Folded, Section, fold_if_long, text_columns
from autopeft.report.content import Report
from autopeft.report.formatting import better, count, in_unit, in_words, listed, one_line, percentage, plural, score
from autopeft.report.leaderboard import Column, Table, beats_trivial, head_note, tables, trivial_notes
from autopeft.report.retrained import RetrainedTable
from autopeft.study.record import TrialRecord


def sections(report: Report) -> list[Section]:
    """Return the whole report; what a run has nothing of is left out."""
    parts: list[tuple[str, str, Callable[[Report], list[Block]]]] = [
        ("summary", "In brief", _summary),
        ("front", "The Pareto front", _front),
        ("retrained", "Retrained at the full budget", _retrained),
        ("importance", "Which parameters mattered", importance),
        ("layers", "Which layers were chosen", layers),
        ("learning", "How trials learnt", _learning),
        ("trials", "The other trials", _others),
        ("cost", "What the search cost", cost),
        ("provenance", "How to run it again", provenance),
    ]
    return [Section(key, title, tuple(blocks)) for key, title, write in parts if (blocks := write(report))]


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
    leading = in_words(board.objectives[0].name)
    blocks.append(f"Best {leading} on validation data: {_trial(report.best, report)}.")
    blocks += trivial_notes(board, header)
    is_worth = report.knee is not None and all(beats_trivial(report.knee, one, header) for one in board.objectives)
    if report.knee and is_worth and len(board.front) > 2 and report.knee != report.best:
        blocks.append(f"The best bargain, where the front bends most: {_trial(report.knee, report)}.")
    blocks.append(_verdict(report.retrained) if report.retrained else _CAUTION_CONFIRMED if board.is_confirmed else _CAUTION)
    return blocks


_CAUTION = (
    "All figures are of one training each at a low budget, and the best of many measurements is too good on average. "
    "autopeft retrain trains the front at the full budget and measures it on test data, with intervals."
)


_CAUTION_CONFIRMED = (
    "The front was trained at the full budget, each trial once, and chosen on validation data; the best of several is too good on "
    "average. autopeft retrain adds seeds and measures it on test data, with intervals."
)
_OF_OTHERS = "Other trials stand as they were at low cost, which can't be compared with them."


def _trial(record: TrialRecord, report: Report) -> str:
    """Say what a trial is: number, objectives, share, configuration."""
    values = [
        f"{in_words(one.name)} {score(record.values[one.name]) if one.name in record.metrics else in_unit(record.values[one.name], one)}"
        for one in report.leaderboard.objectives
    ]
    whole = report.header.backbone_parameters
    share = f" ({percentage(record.trainable_parameters, whole)} of the model's)" if whole else ""
    if TRAINABLE_PARAMETERS not in report.leaderboard.objectives:
        values.append(f"{count(record.trainable_parameters)} trainable parameters")
    return f"trial {record.number}: {', '.join(values)}{share}; {one_line(record.configuration.describe())}"


def _verdict(table: RetrainedTable) -> str:
    """Say how the search's choice does on test data, and what it beats."""
    chosen = table.chosen
    if chosen is None:
        return "Only baselines were retrained so far."
    metric = table.settings["metric"]
    found = table.estimate(chosen, "test", metric)
    text = f"At the full budget, the search's best on validation data ({chosen.candidate.name}) reaches a test {in_words(metric)} of "
    text += f"{score(found.mean)}, the mean of {plural(len(found.values), 'seed')}"
    text += f", with a {CONFIDENCE:.0%} interval of {score(found.low)} to {score(found.high)} over other seeds and test examples."
    if found.has_few_seeds:
        n = len(found.values)
        text += f" {plural(n, 'seed')} {'is' if n == 1 else 'are'} too few to know how much seeds differ."
    verdicts = ((True, "The difference is significant from", "and"), (False, "No significant difference was found from", "or"))
    for verdict, words, last in verdicts:
        if names := [one.baseline for one in table.comparisons if one.significant is verdict]:
            text += f" {words} {listed(names, last)}."
    return text


def _front(report: Report) -> list[Block]:
    board = report.leaderboard
    if not board.front:
        return []
    expected = report.expected
    blocks: list[Block] = [
        "A trial is on the front if no other is better in one goal without being worse in another. "
        + (f"These trials were confirmed: trained at the full budget, and measured there. {_OF_OTHERS} " if board.is_confirmed else "")
        + f"{head_note(report.header)} {_uncertainty(report)}",
        Drawing.FRONT,
        tables(board, report.header, expected=expected.words if expected.trials else None)[0],
    ]
    measured = board.low_cost if board.is_confirmed else board.front
    verdict = expected.verdict([record.number for record in measured]) if measured else ""
    return [*blocks, verdict] if verdict else blocks


def _uncertainty(report: Report) -> str:
    if report.retrained:
        return "Each point is one training with one seed on validation data; the next section has intervals over seeds on test data."
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
    if found.curves:
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
