"""Choosing trials of a finished search by what one wants of them."""

from collections.abc import Sequence

from autopeft.amounts import parse_amount
from autopeft.errors import InvalidInputError, UnknownNameError
from autopeft.objectives import Objective
from autopeft.study.directory import RunDirectory
from autopeft.study.reader import StudyReader
from autopeft.study.record import TrialRecord, best, front, knee

_BOUND = "max-params"


def pick(wish: str, records: Sequence[TrialRecord], objectives: Sequence[Objective], backbone_parameters: int) -> TrialRecord:
    """Return the trial that a wish is for.

    Args:
        wish: "best": the best on the first objective, the metric. "knee": the trial of the front that gives up least of each objective.
            "max-params=0.5%": the best of those with at most so many parameters, a number or a percentage of the backbone's.
        records: A run's trials.
        objectives: What it traded off.
        backbone_parameters: What a percentage refers to.

    Raises:
        UnknownNameError: There is no such wish.
        InvalidInputError: No complete trial is like that.
    """
    name, equals, amount = wish.partition("=")
    if name not in ("best", "knee", _BOUND) or bool(equals) != (name == _BOUND):
        raise UnknownNameError("choice of a trial", wish, ("best", "knee", f"{_BOUND}=0.5%"))
    if name == _BOUND:
        upper = parse_amount(_BOUND, amount, backbone_parameters)
        complete = [record for record in records if record.state == "complete" and not record.exceeds]
        sizes = [record.trainable_parameters for record in complete if record.trainable_parameters is not None]
        if sizes and min(sizes) > upper:
            rule = f"no trial has at most {upper:,.0f} trainable parameters: the smallest complete one has {min(sizes):,}"
            raise InvalidInputError(rule, value=wish, remedy="Raise the bound, or search with --max-params.")
        records = [record for record in records if record.trainable_parameters is not None and record.trainable_parameters <= upper]
    found = front(records, objectives)
    if not found:
        raise InvalidInputError("the run has no complete trial that can be chosen", value=wish, remedy="See them with: autopeft show RUN.")
    if name == "knee":
        return knee(found, objectives)
    return best(found, objectives)


def choose(run: RunDirectory, trials: Sequence[int] = (), wish: str | None = None, *, whole_front: bool = False) -> list[TrialRecord]:
    """Return trials of a run: those of these numbers, the one that a wish is for, or the whole front.

    Raises:
        InvalidInputError: Not exactly one of the three is asked for, or there is no such trial.
        UnknownNameError: There is no such wish.
    """
    if bool(trials) + bool(wish) + whole_front != 1:
        raise InvalidInputError("say which trials to train", remedy="Give one of --trial N, --pick best|knee|max-params=0.5%, --front.")
    study = StudyReader.open(run)
    records = study.records()
    if trials:
        return numbered(trials, records)
    if wish:
        return [pick(wish, records, study.objectives, run.settings("backbone_parameters")["backbone_parameters"])]
    found = front(records, study.objectives)
    if not found:
        raise InvalidInputError("the run has no complete trial to train", value=str(run.path))
    return found


def numbered(numbers: Sequence[int], records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Return complete trials by their numbers.

    Raises:
        InvalidInputError: There is no such trial, or it is not complete.
    """
    complete = {record.number: record for record in records if record.state == "complete"}
    for number in numbers:
        if number not in complete:
            state = next((f"is {record.state}" for record in records if record.number == number), "does not exist")
            remedy = "Choose one that autopeft show RUN lists."
            raise InvalidInputError(f"only a complete trial can be retrained, and trial {number} {state}", remedy=remedy)
    return [complete[number] for number in dict.fromkeys(numbers)]
