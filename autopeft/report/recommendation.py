"""Which trial to take, why, and how sure that is, in one sentence.

Before anything was retrained it is the cheapest trial of the front whose first objective lies within one standard error of the best one's
(the one-standard-error rule of Breiman et al., Classification and Regression Trees, 1984, section 3.4.3): a difference that other
validation examples may turn round is no reason to pay for it. Afterwards it is what is best on validation data over seeds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from autopeft.inference import CONFIDENCE, variance_over_rows
from autopeft.objectives import COSTS, Objective
from autopeft.report.expected import QUANTILE, ExpectedFront
from autopeft.report.formatting import in_unit, in_words, listed, score
from autopeft.report.references import TRIVIAL, Reference
from autopeft.report.retrained import RetrainedTable
from autopeft.study.record import TrialRecord, knee
from autopeft.study.retrained import Retrained
from autopeft.tasks.metrics import bounds
from autopeft.words import plural


@dataclass(frozen=True)
class Recommendation:
    """What to do with a search's result."""

    words: str
    """One sentence; where seeds are too few, a second."""
    trial: int | None
    """The trial to take; None: take none."""


def recommend(
    front: Sequence[TrialRecord],
    objectives: Sequence[Objective],
    expected: ExpectedFront,
    n_rows: int | None,
    references: Sequence[Reference] = (),
    retrained: RetrainedTable | None = None,
) -> Recommendation | None:
    """Return what to take of a front; None of an empty one.

    Args:
        front: The trials, in rising order of the last objective's loss.
        objectives: What is traded off.
        expected: What the first objective would be over seeds, where that is known.
        n_rows: Validation examples that trials are measured on.
        references: What no training reaches too, among others.
        retrained: What was trained at the full budget.
    """
    if retrained is not None and retrained.chosen is not None:
        return Recommendation(_retrained(retrained, retrained.chosen), retrained.chosen.candidate.trial)
    if not front:
        return None
    leading, cost = objectives[0], next((one for one in objectives[1:] if one.name in COSTS), None)
    # What is expected is expected at low cost.
    expected = expected if all(one.low_cost is None for one in front) else ExpectedFront({}, (), math.nan)
    values = {one.number: expected.trials[one.number].mean if one.number in expected.trials else one.values[leading.name] for one in front}
    top = min(front, key=lambda one: leading.sign * values[one.number])
    error = _standard_error(top, leading, values[top.number], expected, n_rows)
    name = ("expected " if top.number in expected.trials else "") + in_words(leading.name)
    if error is None:
        bend = knee(front, objectives)
        why = f"{name} {_value(bend, leading)}" + (f" for {in_words(cost.name)} {in_unit(bend.values[cost.name], cost)}" if cost else "")
        return Recommendation(
            f"Take trial {bend.number}, where the front bends most: {why}; how far that is chance isn't known.", bend.number
        )
    on = f"one standard error of {score(error)} on {plural(n_rows or 0, 'validation example')}"
    trivial = next((one for one in references if one.name == TRIVIAL), None)
    if trivial is not None and leading.sign * (trivial.value - values[top.number]) < QUANTILE * error:
        text = (
            f"Take none yet: the best, trial {top.number} with {name} {score(values[top.number])}, is not clearly better than one answer "
        )
        return Recommendation(f"{text}for all examples, which reaches {score(trivial.value)} ({on}).", None)
    enough = [one for one in front if leading.sign * (values[one.number] - values[top.number]) <= error]
    chosen = enough[0]
    if chosen.number == top.number:
        text = f"Take trial {top.number}: its {name} of {score(values[top.number])} is the best"
        return Recommendation(f"{text}, and all that cost less are worse by more than {on}.", top.number)
    text = f"Take trial {chosen.number}: its {name} of {score(values[chosen.number])} lies within {on} from the best, "
    text += f"{score(values[top.number])} of trial {top.number}"
    if cost is not None:
        ours, theirs = (in_unit(one.values[cost.name], cost) for one in (chosen, top))
        text += f", for {ours} {cost.unit} in place of {theirs}"
    return Recommendation(f"{text}.", chosen.number)


def _retrained(table: RetrainedTable, chosen: Retrained) -> str:
    """Say how the search's choice does on test data, and what it beats."""
    metric = table.settings["metric"]
    found = table.estimate(chosen, "test", metric)
    text = f"Take {chosen.candidate.name}: at the full budget it is the search's best on validation data and reaches a test "
    text += f"{in_words(metric)} of {score(found.mean)}, the mean of {plural(len(found.values), 'seed')}"
    text += f", with a {CONFIDENCE:.0%} interval of {score(found.low)} to {score(found.high)} over other seeds and test examples."
    if found.has_few_seeds:
        n = len(found.values)
        text += f" {plural(n, 'seed')} {'is' if n == 1 else 'are'} too few to know how much seeds differ."
    verdicts = ((True, "The difference is significant from", "and"), (False, "No significant difference was found from", "or"))
    for is_significant, words, last in verdicts:
        if names := [one.baseline for one in table.comparisons if one.significant is is_significant]:
            text += f" {words} {listed(names, last)}."
    return text


def _standard_error(record: TrialRecord, leading: Objective, value: float, expected: ExpectedFront, n_rows: int | None) -> float | None:
    """Return that of the first objective over validation examples, and over seeds where that is known; None where nothing is."""
    if leading.name not in record.metrics or n_rows is None:
        return None
    deviation = expected.trials[record.number].deviation if record.number in expected.trials else 0.0
    variance = deviation**2 + variance_over_rows(value, n_rows, bounds(leading.name))
    return math.sqrt(variance) if variance > 0 and math.isfinite(variance) else None


def _value(record: TrialRecord, objective: Objective) -> str:
    value = record.values[objective.name]
    return score(value) if objective.name in record.metrics else in_unit(value, objective)
