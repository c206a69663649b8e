"""How trials learnt, and what the rungs made of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypedDict

from autopeft.errors import InvalidInputError
from autopeft.forms import misfit
from autopeft.study.directory import RunDirectory
from autopeft.study.record import State, TrialRecord
from autopeft.study.rows import finite


@dataclass(frozen=True)
class CurveStep:
    """A measurement during a trial."""

    progress: float
    """Share of the budget's steps done."""
    examples_seen: int
    train_loss: float | None
    metrics: Mapping[str, float | None]
    """Validation metrics by name; None where one was not finite."""


@dataclass(frozen=True)
class Curve:
    """How a trial learnt."""

    trial: int
    state: State
    on_front: bool
    steps: tuple[CurveStep, ...]
    """At least one."""


@dataclass(frozen=True)
class Rung:
    """What became of the trials that were measured at a rung."""

    progress: float
    n_reached: int
    n_went_on: int
    n_stopped: int
    n_waiting: int


@dataclass(frozen=True)
class LearningCurves:
    """The learning of all trials."""

    curves: tuple[Curve, ...]
    rungs: tuple[Rung, ...]
    """By rising share of the budget; empty of a search without."""
    budgets_saved: float
    """What the trials that are stopped did not spend, in budgets of a whole trial."""
    unreadable: tuple[int, ...]
    """Trials whose curve.jsonl is damaged."""

    @classmethod
    def of(cls, run: RunDirectory, records: Sequence[TrialRecord], front: Sequence[TrialRecord]) -> "LearningCurves":
        """Read it from a run's folder; a trial without a curve, such as a failed one, is left out."""
        on_front = {record.number for record in front}
        curves, unreadable = [], []
        for record in sorted(records, key=lambda record: record.number):
            try:
                steps = _read(run.trial_path(record.number) / "curve.jsonl")
                if record.state == "running":
                    done = steps[-1].progress if steps else 0.0
                    steps += tuple(step for step in _read_begun(run.trial_path(record.number)) if step.progress > done)
            except ValueError:  # a file that was cut or edited
                unreadable.append(record.number)
                continue
            if steps:
                curves.append(Curve(record.number, record.state, record.number in on_front, steps))
        saved = sum(1 - record.progress for record in records if record.state == "stopped")
        return cls(tuple(curves), _rungs(records), saved, tuple(unreadable))

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


def _read(path: Path) -> tuple[CurveStep, ...]:
    """Return what a file of measurements holds, one a line.

    Raises:
        ValueError: A line is something else.
    """
    if not path.is_file():
        return ()
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    if wrong := misfit(rows, list[_Line]):
        raise InvalidInputError(f"{path.name} can't be read: {wrong}", value=str(path))
    return tuple(CurveStep(row["progress"], row["examples_seen"], row["train_loss"], row["metrics"]) for row in map(finite, rows))


class _Line(TypedDict):
    progress: float
    examples_seen: int
    train_loss: float | None
    metrics: Mapping[str, float | None]


def _read_begun(folder: Path) -> tuple[CurveStep, ...]:
    """Return what a training under way has written so far; nothing where its last line is being written."""
    try:
        return _read(folder / "live.jsonl")
    except ValueError:
        return ()


def _rungs(records: Sequence[TrialRecord]) -> tuple[Rung, ...]:
    return tuple(_rung(progress, records) for progress in sorted({rung.progress for record in records for rung in record.rungs}))


def _rung(progress: float, records: Sequence[TrialRecord]) -> Rung:
    reached = [record for record in records if any(rung.progress == progress for rung in record.rungs)]
    ended_here = [record for record in reached if record.rungs[-1].progress == progress]
    stopped, waiting = (sum(record.state == state for record in ended_here) for state in ("stopped", "paused"))
    return Rung(progress, len(reached), len(reached) - stopped - waiting, stopped, waiting)
