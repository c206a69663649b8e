"""What the Pareto plot shows, before any plotting library draws it."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from autopeft.errors import InvalidInputError
from autopeft.objectives import COSTS, TRAINABLE_PARAMETERS, Objective, losses
from autopeft.pareto import non_dominated
from autopeft.report.axis import CostAxis
from autopeft.report.chart import limits
from autopeft.report.formatting import better, count, in_unit, one_line, percentage, score, seconds
from autopeft.report.header import RunHeader
from autopeft.report.leaderboard import Leaderboard
from autopeft.report.references import Reference
from autopeft.study.record import TrialRecord

REACH = 0.8
"""A reference is drawn if it lies no farther from the trials than this share of their spread: one farther off would leave them no room."""


@dataclass(frozen=True)
class Point:
    """A trial's place and what is said about it."""

    trial: int
    x: float
    y: float
    lines: tuple[str, ...]
    """What hovering shows, as plain text."""
    methods: tuple[str, ...] = ()
    """What the configuration is made of, by name; empty if the head alone is trained."""
    interval: tuple[float, float] | None = None
    """Where y would lie on average over seeds; None if nothing tells."""


@dataclass(frozen=True)
class Picture:
    """Everything a backend needs; texts are plain and must be escaped for their medium."""

    title: str
    subtitle: str
    x_title: str
    y_title: str
    axis: CostAxis
    y_limits: tuple[float, float]
    front: tuple[Point, ...]
    dominated: tuple[Point, ...]
    names: tuple[str, str]
    """What the front and the others are called."""
    stairs: tuple[tuple[float, float], ...]
    """Corners of the line between what the trials reached and what none reached."""
    methods: tuple[str, ...] = ()
    """Those of all points, the most frequent first."""
    references: tuple[Reference, ...] = ()
    """What the trials are to be compared with."""

    @property
    def lines(self) -> tuple[Reference, ...]:
        """The references that have a place in the picture."""
        return tuple(one for one in self.references if self.y_limits[0] <= one.value <= self.y_limits[1])


def draw(
    leaderboard: Leaderboard,
    header: RunHeader,
    interval: Callable[[int], tuple[float, float] | None] = lambda trial: None,
    references: Sequence[Reference] = (),
) -> Picture:
    """Lay out the plot of the first objective over the first cost that is one; over trainable parameters if none is.

    Args:
        leaderboard: The trials.
        header: The run.
        interval: By trial, where the first objective would lie on average over seeds.
        references: What the trials are to be compared with; those far from all trials have no place in the picture.

    Raises:
        InvalidInputError: No trial within the bounds has a result to draw.
    """
    objective = leaderboard.objectives[0]
    cost = next((one for one in leaderboard.objectives[1:] if one.name in COSTS), TRAINABLE_PARAMETERS)
    front, dominated = (_drawable(trials, objective) for trials in (leaderboard.front, leaderboard.off_front))
    if not front:
        raise InvalidInputError(
            "a plot needs at least one complete trial within the bounds", remedy="See what happened: autopeft show RUN."
        )
    drawn = [*front, *dominated]
    whole = header.backbone_parameters if cost == TRAINABLE_PARAMETERS else None
    axis = CostAxis.over([_cost(record, cost) for record in drawn], whole, "head only")
    scores = [record.values[objective.name] for record in drawn]
    reach = REACH * (max(scores) - min(scores))
    scores += [one.value for one in references if min(scores) - reach <= one.value <= max(scores) + reach]
    methods = Counter(module for record in drawn for module in _methods(record))
    return Picture(
        title=one_line(f"{header.task or header.name}: {_axis_name(objective)} against {_axis_name(cost)}"),
        subtitle=one_line(_subtitle(leaderboard, header, (objective, cost))),
        x_title=_x_title(cost, whole),
        y_title=one_line(f"{_axis_name(objective)} on validation data ({objective.unit or 'score'}, {better(objective)} is better)"),
        axis=axis,
        y_limits=limits(scores, None if objective.name in COSTS else objective.name),
        front=tuple(
            replace(_point(record, objective, cost, axis, header), interval=None if record.confirmed else interval(record.number))
            for record in front
        ),
        dominated=tuple(_point(record, objective, cost, axis, header) for record in dominated),
        names=("front at the full budget", "low cost or dominated") if leaderboard.is_confirmed else ("Pareto front", "dominated"),
        stairs=_stairs(front, objective, cost, axis),
        methods=tuple(sorted(methods, key=lambda name: (-methods[name], name))),
        references=tuple(references),
    )


def _drawable(records: Sequence[TrialRecord], objective: Objective) -> list[TrialRecord]:
    return [record for record in records if record.values[objective.name] == record.values[objective.name]]


def _cost(record: TrialRecord, cost: Objective) -> float:
    return record.values.get(cost.name, record.trainable_parameters or 0)


def _x_title(cost: Objective, whole: int | None) -> str:
    if cost != TRAINABLE_PARAMETERS:
        return f"{_axis_name(cost)} ({cost.unit}, log scale)"
    return f"trainable parameters without the head (count, log scale{'; below: share of the model' if whole else ''})"


def _axis_name(objective: Objective) -> str:
    return objective.name.replace("_", " ")


def _subtitle(leaderboard: Leaderboard, header: RunHeader, shown: tuple[Objective, Objective]) -> str:
    n_complete = len(leaderboard.front) + len(leaderboard.off_front)
    left_out = [f"{len(some)} {what}" for some, what in ((leaderboard.infeasible, "infeasible"), (leaderboard.failed, "failed")) if some]
    trials = f"{n_complete} trial{'' if n_complete == 1 else 's'}" + (f" ({', '.join(left_out)}, left out)" if left_out else "")
    others = [_axis_name(one) for one in leaderboard.objectives if one not in shown]
    also = f"the front is that of {len(leaderboard.objectives)} objectives, {' and '.join(others)} not shown" if others else ""
    return " · ".join(part for part in (header.model, trials, header.budget, also) if part)


def _point(record: TrialRecord, objective: Objective, cost: Objective, axis: CostAxis, header: RunHeader) -> Point:
    parameters = record.trainable_parameters or 0
    share = f" ({percentage(parameters, header.backbone_parameters)} of the model)" if header.backbone_parameters else ""
    configuration = record.configuration
    lines = (
        f"trial {record.number}" + (", at the full budget" if record.low_cost is not None else ""),
        *(f"{name.replace('_', ' ')} {score(value)}" for name, value in record.metrics.items()),
        f"{count(parameters)} parameters{share}",
        *(
            f"{_axis_name(COSTS[name])} {in_unit(value, COSTS[name])}"
            for name, value in record.values.items()
            if name in COSTS and name != TRAINABLE_PARAMETERS.name
        ),
        f"{seconds(record.seconds)} seconds",
        *configuration.describe().split(", "),
    )
    return Point(
        record.number, axis.position(_cost(record, cost)), record.values[objective.name], tuple(map(one_line, lines)), _methods(record)
    )


def _methods(record: TrialRecord) -> tuple[str, ...]:
    return tuple(dict.fromkeys(module.method for module in record.configuration.modules))


def _stairs(front: Sequence[TrialRecord], objective: Objective, cost: Objective, axis: CostAxis) -> tuple[tuple[float, float], ...]:
    """Return the staircase's corners from the cheapest trial to the right edge.

    With a third objective, some of the front is dominated on these two axes; the stairs run over the rest.
    """
    points = losses((cost, objective), [{**record.values, cost.name: _cost(record, cost)} for record in front])
    steps = sorted({(price, loss) for (price, loss), keep in zip(points.tolist(), non_dominated(points), strict=True) if keep})
    corners: list[tuple[float, float]] = []
    for price, loss in steps:
        x, y = axis.position(price), objective.sign * loss
        if corners:
            corners.append((x, corners[-1][1]))
        corners.append((x, y))
    return (*corners, (axis.limits[1], corners[-1][1]))
