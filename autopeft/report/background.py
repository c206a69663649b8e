"""The sections of a report about what lies behind its results: parameters, layers, costs, settings."""

from autopeft.costs import total
from autopeft.inference import CONFIDENCE
from autopeft.objectives import Objective
from autopeft.report.blocks import Block, Code, Drawing, Folded, text_columns
from autopeft.report.content import Report
from autopeft.report.formatting import count, duration, in_unit, in_words, megabytes, one_line, score
from autopeft.report.importance import MIN_TRIALS, Importance, Importances
from autopeft.report.leaderboard import Column, Table
from autopeft.report.provenance import Provenance
from autopeft.words import plural


def importance(report: Report) -> list[Block]:
    """Say which parameters mattered for each objective, and which way."""
    tried = [found for found in report.importances if found.parameters]
    if not tried:
        if not report.leaderboard.complete:
            return []
        return [f"That can't be estimated: fewer than {MIN_TRIALS} trials were measured alike, or nothing differs between them."]
    progress = tried[0].progress
    where = f"after {progress:.0%} of their budget, where the first rung measured all alike" if progress < 1 else "with a final result"
    blocks: list[Block] = [
        f"Of {plural(tried[0].n_trials, 'trial')} {where}. Importance is the share of the trials' order that a parameter explains by "
        "itself (fANOVA, a random forest); what explains no more than the best of some shuffled parameters is no more "
        "than chance and set apart. "
        f"A direction is named where Spearman's rank correlation is significant at {CONFIDENCE:.0%}. "
        "The sampler preferred what worked, so parameters it moved together can lend each other importance."
    ]
    if found := [one for one in tried if any(parameter.above_chance for parameter in one.parameters)]:
        blocks.append(Drawing.IMPORTANCE)
    blocks += [
        f"Nothing explained {in_words(one.objective.name)} better than chance does: {plural(one.n_trials, 'trial')} are too few, "
        "or what was searched matters little."
        for one in tried
        if one not in found
    ]
    return [*blocks, *(Folded(_importance_table(one)) for one in tried)]


def _importance_table(found: Importances) -> Table:
    name = in_words(found.objective.name)
    columns = (
        *text_columns("parameter"),
        Column("importance"),
        *text_columns("more than chance", f"a larger value and {name}"),
        Column("rank correlation"),
        *text_columns(f"small values (or best): median {name} (trials)", "large values (or worst)"),
    )
    rows = tuple(
        (
            one.parameter,
            f"{one.importance:.0%}",
            "yes" if one.above_chance else "no",
            direction(one, found.objective),
            "-" if one.correlation is None else f"{one.correlation:+.2f}",
            *(f"{group.label}: {_value(group.typical, found.objective)} ({group.n_trials})" for group in one.groups),
        )
        for one in found.parameters
    )
    wish = "to be raised" if found.objective.direction == "maximize" else "to be lowered"
    return Table(f"What mattered for {name}, which is {wish}, in numbers", columns, rows)


def direction(one: Importance, objective: Objective) -> str:
    """Say which way a parameter moves an objective, and whether that is wanted: "raises it (worse)"."""
    if one.correlation is None:
        return f"no order; best: {one.groups[0].label}"
    if one.raises is None:
        return "no clear direction"
    return f"{'raises' if one.raises else 'lowers'} it ({'better' if one.helps else 'worse'})"


def _value(value: float, objective: Objective) -> str:
    return in_unit(value, objective) if objective.unit else score(value)


def layers(report: Report) -> list[Block]:
    """Say which layers the front's trials stand in."""
    found = report.layers
    if not found.occupied:
        return []
    columns = (
        Column("layer"),
        Column(f"of {plural(len(found.trials), 'trial')} on the front"),
        Column(f"of {plural(found.n_others, 'other')}"),
    )
    rows = tuple((str(use.layer), str(use.n_front), str(use.n_others)) for use in reversed(found.use))
    last = found.n_layers - 1
    return [
        f"Each column is a trial of the front, each row a layer of the model: layer 0 is next to the input, layer {last} next to the head. "
        "Marks are methods, their place in a cell always the same.",
        Drawing.LAYERS,
        Folded(Table("How many trials put a module in a layer", columns, rows)),
    ]


def cost(report: Report) -> list[Block]:
    """Say what the search took."""
    costs = report.costs
    if not costs.n_trials:
        return []
    rows = [
        ("trials with costs", str(costs.n_trials)),
        *([("confirmed at the full budget", str(costs.n_confirmed))] if costs.n_confirmed else []),
        ("wall-clock time with a trial under way", duration(costs.wall_seconds)),
        ("time of all trials added up", duration(costs.trial_seconds)),
        ("a training, on average", duration(costs.trial_seconds / (costs.n_trials + costs.n_confirmed))),
        ("processor time", duration(costs.cpu_seconds)),
        ("GPU time", duration(costs.gpu_seconds) if costs.gpu_seconds != 0 else "none used"),
        ("proposing, all trials together", duration(costs.suggestion_seconds)),
        ("the longest proposal", duration(costs.longest_suggestion_seconds)),
        ("training examples processed, repeats counted", count(costs.examples_seen)),
        ("most memory in use", megabytes(costs.peak_bytes)),
        ("first trial began", costs.began.isoformat(sep=" ", timespec="seconds") if costs.began else "-"),
        ("last trial ended", costs.ended.isoformat(sep=" ", timespec="seconds") if costs.ended else "-"),
    ]
    retrained = [table for table in (report.retrained, *report.transferred) if table]
    if retrained:
        spent = total(result for table in retrained for entry in table.entries for result in entry.results)
        rows.append(("retraining, all seeds, not part of the search", duration(spent.seconds)))
    table = Table("Costs", (*text_columns("what"), Column("how much")), tuple(rows))
    return [*(["A dash means that this run did not record it."] if any(row[1] == "-" for row in rows) else []), table]


def _settings_table(title: str, found: Provenance, *, given: bool) -> Table:
    rows = tuple((one.name, one.in_words, one.source) for one in found.settings if (one.source != "default") is given)
    return Table(f"{title} ({len(rows)})", text_columns("setting", "value", "from"), rows)


def _fact(name: str, value: str | float) -> tuple[str, str]:
    """Return what is known of the machine or the model in words."""
    if name.endswith("_bytes") and isinstance(value, int):
        return in_words(name.removesuffix("_bytes")), megabytes(value)
    return in_words(name), f"{value:,.10g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else one_line(value)


def provenance(report: Report) -> list[Block]:
    """Say how the run was made."""
    found = report.provenance
    blocks: list[Block] = []
    if found.command:
        elsewhere = [one for one in found.settings if one.source not in ("flag", "argument", "default")]
        more = f" Also set: {', '.join(f'{one.name} = {one.in_words} ({one.source})' for one in elsewhere)}." if elsewhere else ""
        blocks += [f"This runs the same search; give it another folder.{more}", Code(found.command)]
        blocks.append("With one worker, the same versions and the same machine it makes the same trials.")
    blocks += [f"{one_line(note)}." for note in (*found.data_notes, *found.left_out)]
    if found.constraints:
        bounds = ", ".join(f"{in_words(name)} up to {upper:,.10g}" for name, upper in found.constraints.items())
        blocks.append(f"Bounds: {bounds}.")
    if found.settings:
        blocks += [
            _settings_table("Settings that were given", found, given=True),
            Folded(_settings_table("All others", found, given=False)),
        ]
    about = [("created", found.created), ("budget of a trial", report.header.budget)]
    facts = [_fact(name, value) for name, value in found.facts.items()]
    rows = tuple((name, value) for name, value in (*about, *facts) if value)
    if rows:
        blocks.append(Table("Model, space and machine", text_columns("what", "value"), rows))
    if found.versions:
        blocks.append(
            Table("Versions", text_columns("package", "version"), tuple((name, str(one)) for name, one in found.versions.items()))
        )
    return blocks
