"""What there is to say of one trial: its result, configuration, learning, mistakes, and how to go on with it."""

import numpy as np

from autopeft.configuration import written
from autopeft.objectives import losses
from autopeft.paths import command
from autopeft.report.blocks import Block, Code, Section, TrialCurve, detail_blocks, text_columns
from autopeft.report.content import Report
from autopeft.report.formatting import count, duration, in_unit, in_words, listed, megabytes, one_line, percentage, score
from autopeft.report.leaderboard import Column, Table
from autopeft.study.record import TrialRecord
from autopeft.words import plural

STATES = {
    "complete": "complete",
    "failed": "failed",
    "running": "running",
    "paused": "waiting at a rung",
    "stopped": "stopped at a rung",
}


def key(trial: int) -> str:
    """Return the name by which a page links to a trial's."""
    return f"trial-{trial}"


def pages(report: Report) -> list[Section]:
    """Return a page for each trial that has one, in rising order of their numbers."""
    records = sorted((one for one in report.leaderboard.records if one.number in report.details), key=lambda one: one.number)
    return [Section(key(one.number), f"Trial {one.number}", tuple(_page(one, report))) for one in records]


def _page(record: TrialRecord, report: Report) -> list[Block]:
    number = record.number
    blocks: list[Block] = [_place(record, report), _result(record, report), *_configuration(record)]
    if record.confirmation is not None and record.confirmation.error:
        blocks.append(f"Its training at the full budget failed: {one_line(record.confirmation.error)}.")
    if record.rungs:
        blocks.append(_rungs(record))
    if any(curve.trial == number and len(curve.steps) > 1 for curve in report.learning_curves.curves):
        blocks.append(TrialCurve(number))
    blocks += detail_blocks(report.details[number], lambda title: f"{title}, on validation data")
    blocks += detail_blocks(report.test_details.get(number, ()), lambda title: f"{title}, retrained, on test data")
    if record.state == "complete":
        run, trial = report.run, ("--trial", number)
        calls = (command("retrain", run, *trial, "--seeds", 3), command("export", run, *trial, "--to", "script"))
        blocks += ["To go on with it:", Code("\n".join(calls))]
    return blocks


def _place(record: TrialRecord, report: Report) -> str:
    """Say where a trial stands among the others."""
    board = report.leaderboard
    if record.error:
        return f"It failed: {one_line(record.error)}. The folder trials/{record.number:04d} has the whole error."
    if record.exceeds:
        return f"It is infeasible: above the bound on {listed([in_words(name) for name in record.exceeds], 'and')}."
    if record.state != "complete":
        return f"It is {STATES[record.state]}" + (f", after {record.progress:.0%} of its budget." if record.progress else ".")
    if record in board.front:
        place = "It is on the Pareto front" + (" of trials at the full budget" if record.low_cost is not None else "")
        picks = [("best", report.best), ("knee", report.knee)]
        special = [f"--pick {name}" for name, one in picks if one is not None and one.number == record.number]
        if report.recommendation and report.recommendation.trial == record.number:
            special.insert(0, "the one to take first")
        return place + (f": {listed(special, 'and')}." if special else ".")
    if board.is_confirmed and record.low_cost is None:
        unbeaten = "No other trial dominates it at low cost" if record in board.low_cost else "It was measured at low cost alone"
        return f"{unbeaten}; the front is of trials that were trained at the full budget."
    mine = losses(board.objectives, [record.values])
    theirs = losses(board.objectives, [one.values for one in board.front])
    better = np.all(theirs <= mine, axis=1)
    names = [f"{one.number}" for one, is_better in zip(board.front, better, strict=True) if is_better]
    if not names:
        return "It has no result that can be compared."
    trials = f"trial {names[0]} is" if len(names) == 1 else f"trials {listed(names, 'and')} are"
    return f"It is dominated: {trials} as good or better in every goal."


def _result(record: TrialRecord, report: Report) -> Table:
    header, parameters = report.header, record.trainable_parameters
    rows = [("state", STATES[record.state] + (", at the full budget" if record.low_cost is not None else ""))]
    rows += [(in_words(name), score(value)) for name, value in record.metrics.items()]
    if record.low_cost is not None:
        rows += [(f"{in_words(name)} at low cost", score(value)) for name, value in record.low_cost.metrics.items()]
    if (words := report.expected.words(record.number)) != "-":
        rows.append((f"expected {in_words(report.leaderboard.objectives[0].name)} over seeds", words))
    if parameters is not None:
        share = f" ({percentage(parameters, header.backbone_parameters)} of the model's)" if header.backbone_parameters else ""
        rows.append(("trainable parameters", f"{count(parameters)}{share}"))
        if header.head_parameters is not None:
            rows.append(("with the head's", count(parameters + header.head_parameters)))
    shown = {"trainable_parameters", *record.metrics}
    objectives = [one for one in report.leaderboard.objectives if one.name not in shown]
    rows += [(in_words(one.name), f"{in_unit(record.values[one.name], one)} {one.unit}") for one in objectives if one.name in record.values]
    costs = [("time", duration(record.seconds)), ("processor time", duration(record.cpu_seconds)), ("memory", megabytes(record.peak_bytes))]
    rows += [*costs, ("training examples processed", count(record.examples_seen))]
    rows += [("seed", str(record.seed)), ("configuration's id", record.configuration.id)]
    return Table("Result", text_columns("what", "value"), tuple(row for row in rows if row[1] != "-"))


def _configuration(record: TrialRecord) -> list[Block]:
    configuration = record.configuration
    hyper = ", ".join(f"{in_words(name)} {written(value)}" for name, value in configuration.training.items())
    blocks: list[Block] = []
    if configuration.modules:
        rows = tuple(
            (
                in_words(module.method),
                f"{module.size:,}",
                "the whole model" if module.layers is None else " ".join(map(str, module.layers)) or "-",
                one_line(" ".join(module.targets)) or "-",
                one_line(", ".join(f"{in_words(name)} {value}" for name, value in module.options.items())) or "-",
            )
            for module in configuration.modules
        )
        columns = (*text_columns("method"), Column("size"), *text_columns("layers", "targets", "options"))
        blocks.append(Table(f"Configuration: {plural(len(rows), 'PEFT module')}", columns, rows))
    else:
        blocks.append("Configuration: the task head alone is trained.")
    return [*blocks, f"Training: {hyper}."] if hyper else blocks


def _rungs(record: TrialRecord) -> Table:
    names = list(dict.fromkeys(name for rung in record.rungs for name in rung.metrics))
    rows = tuple((f"{rung.progress:.0%}", *(score(rung.metrics.get(name)) for name in names)) for rung in record.rungs)
    return Table("At the rungs", (Column("done"), *(Column(in_words(name)) for name in names)), rows)
