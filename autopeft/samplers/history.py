"""What a study holds, as arrays: the losses of finished trials, what still runs, and what must not be proposed again.

Legend: m objectives, n finished trials, p parameters (see `grid`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from autopeft.samplers.grid import Grid
from autopeft.samplers.partial import ReadEarly, extrapolate, nothing_early

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

UNFINISHED = (TrialState.RUNNING, TrialState.PRUNED)
OVER = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


@dataclass(frozen=True)
class History:
    """The record that a suggestion follows from."""

    observed: Array
    """n x p: trials that completed with finite values, in the order in which they did."""
    values: Array
    """n x m."""
    feasible: Mask
    """n: whether they kept to all bounds; the others teach, and nothing need be better than them."""
    ended: Array
    """e x p: trials that completed or failed."""
    excess: Array
    """e x c: by how much each exceeded each bound, NaN where that wasn't measured. The last bound is not to fail: 1 or -1."""
    running: Array
    """Rows of the running trials, any number x p; those that have an early measurement are among the unfinished."""
    unfinished: Array
    """z x p: trials that stopped or wait before their end, with an early measurement that says something."""
    extrapolated: Array
    """z x m: the values that they would have reached; see `partial`."""
    remaining: Array
    """z: the shares of their budgets that they had left."""
    tried: Array
    """t x p: all trials, however they ended: none is proposed again."""


def read_history(trials: Sequence[FrozenTrial], grid: Grid, n_objectives: int, read_early: ReadEarly = nothing_early) -> History:
    """Read a study's trials, each with its early measurements.

    A trial without all parameters is left out (Optuna stores a running trial's one by one, so it isn't asked yet), and so is one that
    drew from other distributions. Stopped trials without early measurements count as tried only. A trial whose values are not all finite
    has failed, however it is marked.
    """
    whole = [trial for trial in trials if all(trial.distributions.get(axis.name) == axis.distribution for axis in grid.axes)]
    found = {trial.number: grid.read(trial.params) for trial in whole}

    def rows(some: Sequence[FrozenTrial]) -> Array:
        return np.array([found[trial.number] for trial in some], dtype=np.float64).reshape(len(some), len(grid.axes))

    done = sorted((trial for trial in whole if trial.state == TrialState.COMPLETE and _finite(trial)), key=_end)
    running = [trial for trial in whole if trial.state == TrialState.RUNNING]
    failed = [trial for trial in whole if trial.state == TrialState.FAIL or (trial.state == TrialState.COMPLETE and not _finite(trial))]
    bounds = sorted({name for trial in done for name in trial.constraints})
    excess = np.array([[trial.constraints.get(name, np.nan) for name in bounds] for trial in done]).reshape(len(done), len(bounds))
    not_failing = np.concatenate([np.full(len(done), -1.0), np.ones(len(failed))])[:, None]
    values = np.array([trial.values for trial in done], dtype=np.float64).reshape(len(done), n_objectives)
    before = [read_early(trial) for trial in done]
    early = {trial.number: measured for trial in whole if trial.state in UNFINISHED and (measured := read_early(trial))}
    ends = {number: end for number, measured in early.items() if (end := extrapolate(measured, before, values)) is not None}
    return History(
        observed=rows(done),
        values=values,
        feasible=np.asarray(~(excess > 0).any(axis=1)),
        ended=rows([*done, *failed]),
        excess=np.concatenate([np.pad(excess, ((0, len(failed)), (0, 0)), constant_values=np.nan), not_failing], axis=1),
        running=rows([trial for trial in running if trial.number not in early]),
        unfinished=rows([trial for trial in whole if trial.number in ends]),
        extrapolated=np.array(list(ends.values()), dtype=np.float64).reshape(len(ends), n_objectives),
        remaining=np.array([1.0 - early[number][-1].progress for number in ends]),
        tried=rows(whole),
    )


def shared_space(trials: Sequence[FrozenTrial]) -> dict[str, BaseDistribution]:
    """Return the distributions that all finished trials share; of a study without any, the fullest running trial's."""
    finished = [trial.distributions for trial in trials if trial.state in OVER and trial.distributions]
    if not finished:
        running = [trial for trial in trials if trial.state == TrialState.RUNNING]
        return dict(max(running, key=lambda trial: len(trial.distributions)).distributions) if running else {}
    return {name: one for name, one in finished[-1].items() if all(other.get(name) == one for other in finished)}


def _end(trial: FrozenTrial) -> tuple[datetime, int]:
    return trial.datetime_complete or datetime.min, trial.number


def _finite(trial: FrozenTrial) -> bool:
    return bool(np.isfinite(trial.values).all())
