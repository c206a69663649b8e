"""What the Pareto plot shows, before any plotting library draws it."""

from collections.abc import Sequence
from dataclasses import dataclass

from autopeft.errors import InvalidInputError
from autopeft.objectives import TRAINABLE_PARAMETERS, Objective, losses
from autopeft.pareto import non_dominated
from autopeft.report.axis import ParameterAxis
from autopeft.report.header import RunHeader
from autopeft.report.leaderboard import Leaderboard
from autopeft.report.words import better, count, one_line, percentage, score, seconds
from autopeft.study.record import TrialRecord


@dataclass(frozen=True)
class Point:
    """A trial's place and what is said about it."""

    trial: int
    x: float
    y: float
    lines: tuple[str, ...]
    """What hovering shows, as plain text."""


@dataclass(frozen=True)
class Picture:
    """Everything a backend needs; texts are plain and must be escaped for their medium."""

    title: str
    subtitle: str
    x_title: str
    y_title: str
    axis: ParameterAxis
    y_limits: tuple[float, float]
    front: tuple[Point, ...]
    dominated: tuple[Point, ...]
    stairs: tuple[tuple[float, float], ...]
    """Corners of the line between what the trials reached and what none reached."""


def draw(leaderboard: Leaderboard, header: RunHeader) -> Picture:
    """Lay out the plot of the first measured objective over trainable parameters.

    Raises:
        InvalidInputError: No trial has a result to draw.
    """
    objective = next(one for one in leaderboard.objectives if one.name != TRAINABLE_PARAMETERS.name)
    front, dominated = (_drawable(trials, objective) for trials in (leaderboard.front, leaderboard.dominated))
    if not front:
        raise InvalidInputError("a plot needs at least one complete trial", remedy="See what happened: autopeft show RUN.")
    drawn = [*front, *dominated]
    axis = ParameterAxis.over([_parameters(record) for record in drawn], header.backbone_parameters)
    scores = [record.values[objective.name] for record in drawn]
    margin = 0.06 * (max(scores) - min(scores)) or 0.05
    share = "; below: share of the model" if header.backbone_parameters else ""
    return Picture(
        title=one_line(f"{header.task or header.name}: {_axis_name(objective)} against trainable parameters"),
        subtitle=one_line(_subtitle(leaderboard, header)),
        x_title=f"trainable parameters without the head (count, log scale{share})",
        y_title=one_line(f"{_axis_name(objective)} on validation data ({objective.unit or 'score'}, {better(objective)} is better)"),
        axis=axis,
        y_limits=(min(scores) - margin, max(scores) + margin),
        front=tuple(_point(record, objective, axis, header) for record in front),
        dominated=tuple(_point(record, objective, axis, header) for record in dominated),
        stairs=_stairs(front, objective, axis),
    )


def _drawable(records: Sequence[TrialRecord], objective: Objective) -> list[TrialRecord]:
    return [record for record in records if record.values[objective.name] == record.values[objective.name]]


def _parameters(record: TrialRecord) -> int:
    return int(record.values.get(TRAINABLE_PARAMETERS.name, record.trainable_parameters or 0))


def _axis_name(objective: Objective) -> str:
    return objective.name.replace("_", " ")


def _subtitle(leaderboard: Leaderboard, header: RunHeader) -> str:
    n_complete, n_failed = len(leaderboard.front) + len(leaderboard.dominated), len(leaderboard.failed)
    trials = f"{n_complete} trial{'' if n_complete == 1 else 's'}" + (f" ({n_failed} failed, left out)" if n_failed else "")
    return " · ".join(part for part in (header.model, trials, header.budget) if part)


def _point(record: TrialRecord, objective: Objective, axis: ParameterAxis, header: RunHeader) -> Point:
    parameters = _parameters(record)
    share = f" ({percentage(parameters, header.backbone_parameters)} of the model)" if header.backbone_parameters else ""
    configuration = record.configuration
    lines = (
        f"trial {record.number}",
        *(f"{name.replace('_', ' ')} {score(value)}" for name, value in record.metrics.items()),
        f"{count(parameters)} parameters{share}",
        f"{seconds(record.seconds)} seconds",
        *configuration.describe().split(", "),
    )
    return Point(record.number, axis.position(parameters), record.values[objective.name], tuple(map(one_line, lines)))


def _stairs(front: Sequence[TrialRecord], objective: Objective, axis: ParameterAxis) -> tuple[tuple[float, float], ...]:
    """Return the staircase's corners from the cheapest trial to the right edge.

    With a third objective, some of the front is dominated on these two axes; the stairs run over the rest.
    """
    points = losses(
        (TRAINABLE_PARAMETERS, objective), [{**record.values, TRAINABLE_PARAMETERS.name: _parameters(record)} for record in front]
    )
    steps = sorted({(parameters, loss) for (parameters, loss), keep in zip(points.tolist(), non_dominated(points), strict=True) if keep})
    corners: list[tuple[float, float]] = []
    for parameters, loss in steps:
        x, y = axis.position(int(parameters)), objective.sign * loss
        if corners:
            corners.append((x, corners[-1][1]))
        corners.append((x, y))
    return (*corners, (axis.limits[1], corners[-1][1]))
